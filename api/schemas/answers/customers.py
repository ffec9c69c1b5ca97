"""Customers."""

from datetime import datetime
from uuid import UUID

from api.schemas.answers.base import Answer


class Customer(Answer):
    """A customer with the other ids that mean this person."""

    customer_id: UUID
    external_id: str
    name: str
    email: str
    aliases: list[str]
    created_at: datetime
