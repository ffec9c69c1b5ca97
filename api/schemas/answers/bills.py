"""Bills, their history, and adjustments."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas.answers.audit import Who
from api.schemas.answers.base import Answer
from api.schemas.answers.mail import Mail


class BillHead(Answer):
    """A bill, or a credit note, which names the bill that it `corrects`; amounts are decimal strings."""

    bill_id: UUID
    number: str | None
    partner: str
    period: str
    currency: str
    state: str
    digest: str
    seal: str | None
    net: str
    tax: str
    gross: str
    total: str
    open: str
    issued_on: date | None
    due_on: date | None
    disputed: str | None
    corrects: UUID | None
    created_at: datetime


class Corrected(Answer):
    """The bill that a credit line corrects."""

    period: str
    number: str | None


class BillLine(Answer):
    """One line of a bill; savings stand beside what was billed and are no part of `net`."""

    line: int
    kind: str
    text: str
    product: str | None
    actions: int
    late: int
    duplicate_savings: str
    cap_savings: str
    corrects: Corrected | None
    quantity: int
    unit: str
    unit_price: str
    net: str
    tax_category: str | None
    tax_rate: str | None
    reason: str | None


class TaxBlock(Answer):
    """The tax on all lines of a category and rate, rounded once."""

    category: str
    rate: str
    base: str
    tax: str
    noted_before: str
    note: str | None


class ApprovalGiven(Answer):
    """An approval; one of an Admin overrides what is asked."""

    by: str | None
    who: Who
    override: bool


class Approvals(Answer):
    """Which approvals are asked, and which were given."""

    asked: list[str]
    given: list[ApprovalGiven]


class BillFile(Answer):
    """A file of an issued bill."""

    format: str
    url: str
    sha256: str
    size_bytes: int


class Bill(BillHead):
    """A bill with all that it says; `moves` are open to the caller. `mails` is null for callers bound to a partner."""

    lines: list[BillLine]
    taxes: list[TaxBlock]
    carried_forward: str
    applied: str
    due: str
    seller: dict[str, Any]
    buyer: dict[str, Any]
    terms: dict[str, Any]
    usage: dict[str, int]
    report: dict[str, Any]
    credit_note: dict[str, Any] | None
    returned_beside: str | None = Field(
        description="of a note that will cancel its bill: what other bills credit for returned actions of it, before "
        "tax; the partner has that twice until the replacement is issued"
    )
    approvals: Approvals | None
    moves: list[str]
    files: list[BillFile]
    mails: list[Mail] | None


class BillAction(Answer):
    """One move in the history of a bill."""

    at: datetime
    who: Who
    move: str
    from_: str | None = Field(alias="from")
    to: str
    digest: str
    comment: str | None


class MovedBill(Answer):
    """How one of many moves went: the status that the move alone would have answered."""

    bill: UUID
    status: int
    detail: str | None


class AdjustmentTax(Answer):
    """How an adjustment is taxed."""

    category: str
    rate: str


class Adjustment(Answer):
    """An amount added to a month or taken off; `own_tax` says whether `tax` counts, or the tax of the terms."""

    adjustment_id: UUID
    partner: str
    period: str
    text: str
    amount: str
    currency: str
    reason: str
    tax: AdjustmentTax | None
    own_tax: bool
    entered_at: datetime
    entered_by: Who
    taken_back_at: datetime | None
