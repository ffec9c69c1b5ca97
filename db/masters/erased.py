"""What stands in the row of a customer whose person was erased."""

from uuid import UUID

ERASED_NAME = "Erased"
_DOMAIN = "@erased.invalid"  # never anybody's: RFC 2606


def erased_email(customer_id: UUID) -> str:
    """The address that replaces the person's e-mail; unique like every e-mail."""
    return f"{customer_id}{_DOMAIN}"


def is_reserved_email(email: str) -> bool:
    """Whether an address, in lower case, is one that only an erased person may have."""
    return email.endswith(_DOMAIN)
