"""Leads in quarantine and dead letters."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from api.schemas.answers.base import Answer


class Quarantined(Answer):
    """A lead in quarantine."""

    id: int
    lead_id: str
    source: str | None
    customer: str
    product: str
    lead_type: str
    actions: int
    reason: Literal["unknown_product", "unknown_customer", "conflict", "action_conflict"]
    detail: str
    batch_id: UUID
    received_at: datetime


class DeadLetter(Answer):
    """A lead that a fault kept from being decided."""

    id: int
    lead: UUID | None
    batch_id: UUID
    error: str
    received_at: datetime
    created_at: datetime


class Retried(Answer):
    """How many went back."""

    retried: int
