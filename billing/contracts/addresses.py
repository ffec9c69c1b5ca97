"""Postal addresses as they are printed: a few lines of text."""

from billing.errors import InvalidValue
from billing.texts import clean, text_from_wire

LONGEST_ADDRESS = 500
MOST_LINES = 10


def address_from_wire(value: object) -> str:
    """An address of up to ten lines, each a text as R1 has it, empty ones left out; raises InvalidValue."""
    if not isinstance(value, str):
        raise InvalidValue("must be a string")
    lines = [text_from_wire(line) for line in value.splitlines() if clean(line)]
    address = "\n".join(lines)
    if not 1 <= len(lines) <= MOST_LINES or len(address) > LONGEST_ADDRESS:
        raise InvalidValue(f"must have 1 to {MOST_LINES} lines and at most {LONGEST_ADDRESS} characters")
    return address
