"""Texts, identifiers, money and instants as rules R1, R13 and R14 read them."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

_INVISIBLE = [
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]  # fmt: skip

UUID_FORM = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


class Refused(Exception):
    """The event is against the rules in the present state; nothing was changed."""


def clean(text: str) -> str:
    """A text as it is kept (R1): nothing invisible, one space for any white space, none at the ends, NFC."""
    words, word = [], ""
    for character in text:
        if any(first <= ord(character) <= last for first, last in _INVISIBLE):
            continue
        if _is_white(character):
            words.append(word)
            word = ""
        else:
            word += character
    return unicodedata.normalize("NFC", " ".join(each for each in [*words, word] if each))


def fold(text: str) -> str:
    """A text as it is compared where case does not matter: lead types, action types, levels."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", clean(text)).casefold())


def _is_white(character: str) -> bool:
    """White space as Unicode has it, without the separators U+001C to U+001F; a blank of braille is one, too."""
    return (character.isspace() and not "\x1c" <= character <= "\x1f") or character == "\u2800"


def plain_id(text: str) -> str:
    """An identifier as it is compared: byte for byte, except that a UUID has no upper and lower case (R1)."""
    return text.lower() if UUID_FORM.fullmatch(text) else text


def minor_units(amount: str) -> int:
    """`"12.00"` as 1200. Raises ValueError for more than two decimals: never rounded (R14)."""
    scaled = Decimal(amount).scaleb(2)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"more than two decimals: {amount}")
    return int(scaled)


def instant(value: str | datetime) -> datetime:
    """An RFC 3339 text, or an aware datetime, in UTC. Raises ValueError for a naive one (R13)."""
    parsed = datetime.fromisoformat(value.strip().upper()) if isinstance(value, str) else value
    if parsed.tzinfo is None:
        raise ValueError(f"no offset: {value}")
    return parsed.astimezone(UTC)
