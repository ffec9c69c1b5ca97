"""Durations as people type them: 90s, 15m, 1h, 7d."""

import re

from scripts.errors import CannotStart

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str, option: str) -> int:
    """The seconds of a duration; raises CannotStart with the option's name for what is none."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip().lower())
    if not match:
        raise CannotStart(f"{option} takes a time like 90s, 15m, 1h, 7d or 0, and not {text!r}.")
    return int(match[1]) * _UNITS_S[match[2] or "s"]
