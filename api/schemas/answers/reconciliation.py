"""A partner's own list against what is billed."""

from datetime import date
from typing import Literal
from uuid import UUID

from api.schemas.answers.base import Answer, Money


class ReconciledRow(Answer):
    """What is not in both lists alike; `line` is its first one in the file, null for what only we have."""

    line: int | None
    lead_id: str | None
    action: UUID | None
    customer: str | None
    day: date | None
    theirs: Money | None
    ours: Money | None


class ReconciledPart(Answer):
    """How much there is, with the first rows; `next` leads to those after them."""

    count: int
    amount: Money
    rows: list[ReconciledRow]
    next: str | None


class Matched(Answer):
    """What is in both lists with the same amount."""

    count: int
    amount: Money


class Reconciliation(Answer):
    """A partner's own list of a month against ours; what became of it is null until it is done."""

    task_id: UUID
    state: Literal["waiting", "running", "done", "failed"]
    error: str | None
    partner: str
    currency: str
    period: str
    by: Literal["action", "lead", "person"]
    matched: Matched | None
    missing_here: ReconciledPart | None
    missing_there: ReconciledPart | None
    different: ReconciledPart | None
