"""Numbers of bills and credit notes (B7): ACME-0007 and ACME-CN-0001, gapless for each partner and kind."""

import re
import unicodedata
from collections.abc import Container
from itertools import count

SHORTEST_PREFIX, LONGEST_PREFIX = 2, 12

_NUMBER = re.compile(r"([A-Z0-9]{2,12})-(CN-)?([0-9]{4,})")
_NOT_IN_PREFIX = re.compile(r"[^A-Z0-9]+")


def prefix_from_id(external_id: str, taken: Container[str]) -> str:
    """The prefix of a partner that asked for none: its id in upper case, as far as it fits.

    Digits stand behind it if it is too short, or `taken` by another partner.
    """
    letters = unicodedata.normalize("NFKD", external_id).upper()
    base = _NOT_IN_PREFIX.sub("", letters)[:LONGEST_PREFIX]
    if len(base) >= SHORTEST_PREFIX and base not in taken:
        return base
    for number in count(2):
        digits = str(number)
        prefix = base[: LONGEST_PREFIX - len(digits)] + digits
        if len(prefix) >= SHORTEST_PREFIX and prefix not in taken:
            return prefix
    raise AssertionError("numbers never end")


def bill_number(prefix: str, number: int) -> str:
    """How the number of a bill is written."""
    return f"{prefix}-{number:04d}"


def credit_note_number(prefix: str, number: int) -> str:
    """How the number of a credit note is written; no prefix has a hyphen, so it is never that of a bill."""
    return f"{prefix}-CN-{number:04d}"


def parts_of_number(text: str) -> tuple[str, str, int] | None:
    """Prefix, kind and number of what `bill_number` or `credit_note_number` wrote; None for any other text."""
    found = _NUMBER.fullmatch(text)
    return (found[1], "credit_note" if found[2] else "bill", int(found[3])) if found else None
