"""Payments, refunds and opening items."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

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


class StatementEntry(Answer):
    """What was booked, and the account after it; `paid_on` is shown and counts for nothing."""

    booked_on: date
    kind: str
    document: str
    paid_on: date | None
    amount: str
    balance: str


class Statement(Answer):
    """The account from one day to another, both included: opening + entries = closing."""

    partner: str
    currency: str
    from_: date | None = Field(alias="from")
    to: date
    opening: str
    entries: list[StatementEntry]
    closing: str


class Ageing(Answer):
    """What a partner owes by days past the due date; `disputed` is part of `open`, `left` stands beside."""

    partner: str
    currency: str
    not_due: str
    days_1_30: str = Field(alias="1_30")
    days_31_60: str = Field(alias="31_60")
    days_61_90: str = Field(alias="61_90")
    over_90: str
    open: str
    disputed: str
    left: str
