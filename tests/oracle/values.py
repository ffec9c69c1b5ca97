"""Texts, identifiers, money and instants as rules R1, R13 and R14 read them."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

UUID_FORM = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


class Refused(Exception):
    """The event is against the rules in the present state; nothing was changed."""


def clean(text: str) -> str:
    """A text as it is kept: NFC and trimmed (R1)."""
    return unicodedata.normalize("NFC", text).strip()


def fold(text: str) -> str:
    """A text as it is compared where case does not matter: lead types, action types, levels."""
    return clean(text).casefold()


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
