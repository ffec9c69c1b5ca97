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
    state: Literal["open", "decided", "superseded", "discarded"]
    left_at: datetime | None
    left_by: str | None
    left_because: str | None


class Discarded(Answer):
    """How many left the quarantine, and which of the given ids were not open."""

    discarded: int
    not_open: list[int]


class DeadLetter(Answer):
    """A lead that a fault kept from being decided."""

    id: int
    lead: UUID | None
    batch_id: UUID
    error: str
    received_at: datetime
    created_at: datetime


class Retried(Answer):
    """How many went back, of how many that were left to try; `next` if there are more."""

    retried: int
    of: int
    next: str | None
