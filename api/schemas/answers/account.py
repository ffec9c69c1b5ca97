"""Payments, refunds and opening items."""

from datetime import date, datetime
from uuid import UUID

from api.schemas.answers.audit import Who
from api.schemas.answers.base import Answer


class Allocation(Answer):
    """What is on the other side: a charge that is covered, or a credit that covers; `bill` is its id if it is one."""

    bill: UUID | None
    kind: str
    document: str
    amount: str


class Reversed(Answer):
    """Who took an entry back, when and why."""

    at: datetime
    by: Who
    reason: str


class Document(Answer):
    """What was entered on a partner's account; `open` is what nothing covers yet, `left` what covers nothing yet."""

    external_id: str
    partner: str
    currency: str
    amount: str
    paid_on: date | None
    due_on: date
    booked_on: date
    reference: str
    allocations: list[Allocation]
    open: str
    left: str
    entered_at: datetime
    entered_by: Who
    reversed: Reversed | None


class Payment(Document):
    """Money that a partner paid."""

    payment_id: UUID


class Refund(Document):
    """Money that was paid back to a partner."""

    refund_id: UUID


class OpeningItem(Document):
    """What was open before Leadger billed the partner."""

    opening_item_id: UUID
