"""Returns: what became of each, and what is on record."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from api.schemas.answers.audit import Who
from api.schemas.answers.base import Answer, Money

State = Literal["asked", "returned", "refused"]


class ReturnedAction(Answer):
    """What became of the return of an action; `detail` says why it was refused, or could not be decided."""

    action: UUID
    state: State
    detail: str | None


class GivenReason(Answer):
    """A listed reason, and what was written beside it."""

    reason: str
    text: str | None


class Return(Answer):
    """A return on record; `amount` is what is billed or was credited for the action."""

    action: UUID
    partner: str
    lead_id: str
    source: str | None
    currency: str
    amount: Money
    state: State
    reason: GivenReason
    asked_at: datetime
    asked_by: Who | None
    decided_at: datetime | None
    decided_by: Who | None
    answer: str | None
