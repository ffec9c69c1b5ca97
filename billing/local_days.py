"""Days as people write them in files: "2024-04-10" or "10.04.2024"."""

import re
from datetime import date

from billing.errors import InvalidValue

_GERMAN_DAY = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")


def day_from_local(text: str) -> date:
    """A day like "2024-04-10" or "10.04.2024"; "10/04/2024" is April to some and October to others: InvalidValue."""
    german = _GERMAN_DAY.fullmatch(text)
    try:
        return date(*map(int, reversed(german.groups()))) if german else date.fromisoformat(text)
    except ValueError:
        raise InvalidValue('must have a day like "2024-04-10" or "10.04.2024"') from None
