"""Partners and their periods."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer, Money, Month
from api.schemas.answers.contracts import ContractOf
from api.schemas.answers.tasks import TaskStarted


class Partner(ContractOf):
    """A partner with the terms in force; `terms_since` is about those that decide verdicts."""

    partner_id: UUID
    external_id: str
    name: str
    billing_email: str | None
    currency: str
    timezone: str
    closed_through: Month | None
    cap: Money | None
    cap_scope: Literal["period", "lifetime"]
    dedup_window: Literal["forever", "period"] | int
    terms_since: Month | None
    created_at: datetime
    task: TaskStarted | None = Field(None, description="re-evaluates open actions after a change of terms")


class Period(Answer):
    """A month with its bounds, half open."""

    period: Month
    starts_at: datetime
    ends_at: datetime
    closed: bool
    currency: str
    billed: Money
    credited: Money
    net: Money


class Undecided(Answer):
    """Leads that were accepted and are not billed, and how many actions of the month are `held`.

    `waiting` are those of all partners, for which closing waits; `unknown_product` may be of any partner.
    What may be others' is null for a key that is bound to a partner. Unless `complete`, only the first 10,000 of each
    kind were looked through.
    """

    waiting: int | None
    quarantined: int
    unknown_product: int | None
    dead_letters: int | None
    held: int
    complete: bool


class PeriodToClose(Period):
    """A month, what would not be billed in it if it closed now, and what would be though the contract has ended."""

    undecided: Undecided
    after_end: int = Field(description="actions billed in it after the end of the contract; up to 10,000 are counted")
