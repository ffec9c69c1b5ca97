"""Amounts as people write them in files: "1.234,56 €", "1,234.56", "1 234,56"; one file writes them all alike."""

import re
from collections.abc import Iterable

from billing.errors import InvalidValue
from billing.money import MOST_MINOR

_BESIDE = re.compile(r"[\s'’]|[A-Z]{3}|[€$£¥]")
_DECIMALS = re.compile(r"[0-9]([.,])[0-9]{1,2}$")
_LONGEST = 50
"""Letters of an amount; more digits than a machine reads at once are none."""
_OTHER = {".": ",", ",": "."}


def decimal_sign(texts: Iterable[str]) -> str:
    """What stands before decimals in some amounts, "." if none has decimals; raises InvalidValue if it is not one."""
    signs = {found[1] for text in texts if (found := _DECIMALS.search(_BESIDE.sub("", text)))}
    if len(signs) > 1:
        raise InvalidValue("must be written alike: some amounts have a point before their decimals, others a comma")
    return signs.pop() if signs else "."


def minor_from_local(text: str, sign: str) -> int:
    """An amount in minor units, `sign` being what stands before decimals; raises InvalidValue."""
    thousands = re.escape(_OTHER[sign])
    whole = rf"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|[0-9]+"
    found = re.fullmatch(rf"(-?)({whole})(?:{re.escape(sign)}([0-9]{{1,2}}))?", _BESIDE.sub("", text))
    if found is None or len(text) > _LONGEST:
        raise InvalidValue('must be an amount with at most two decimals, like "1,234.56" or "1.234,56"')
    minor = int(found[2].replace(_OTHER[sign], "")) * 100 + int((found[3] or "").ljust(2, "0"))
    if minor > MOST_MINOR:
        raise InvalidValue("must not be more than 1000000000.00")
    return -minor if found[1] else minor
