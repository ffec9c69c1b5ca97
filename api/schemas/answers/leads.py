"""Leads and their actions, decided or not."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer, FieldError, Money, Month, Totals
from billing.actions import Outcome


class CustomerOf(Answer):
    """A customer as far as it is known."""

    customer_id: UUID | None = None
    external_id: str
    name: str | None = None
    email: str | None = None


class RateOf(Answer):
    """The rule that prices an action."""

    rule_id: int
    rule: str
    amount: Money
    card_version: int


class Action(Answer):
    """One action with every figure behind its verdict."""

    action_id: UUID
    external_id: str | None = Field(description="the `id` it was sent with")
    lead_id: str
    action_type: str
    engagement_level: str
    occurred_at: datetime
    occurrence: int
    value: Money
    billed: Money
    duplicate_savings: Money
    cap_savings: Money
    currency: str
    outcome: Outcome
    duplicate_of: UUID | None
    period: Month
    billing_period: Month
    late: bool
    rate: RateOf
    cap: Money | None
    cap_before: Money | None
    cap_after: Money | None
    credited: Money | None
    credited_in: str | None
    corrects: UUID | None = Field(description="the action that this one stands for")
    corrected_by: UUID | None = Field(description="the action that stands for this one, which was wrong")
    reason: str = Field(description="why it was or was not billed, in one sentence")


class ActionSent(Answer):
    """An action that is not decided yet."""

    action_type: str
    engagement_level: str
    occurred_at: datetime
    external_id: str | None = None


class QuarantineProblem(Answer):
    """Why a lead is in quarantine."""

    reason: Literal["unknown_product", "unknown_customer", "conflict", "action_conflict", "fault", "discarded"]
    detail: str


class Lead(Answer):
    """A lead; what only a decided one has is missing while it waits or is in quarantine."""

    state: Literal["waiting", "quarantined", "discarded", "done"]
    lead_id: str
    id: UUID
    source: str | None
    partner: str | None = None
    customer: CustomerOf
    product: str
    lead_type: str
    created_at: datetime | None
    received_at: datetime | None = None
    currency: str | None = None
    totals: Totals | None
    actions: list[Action] | list[ActionSent]
    problem: QuarantineProblem | None = None


class LeadSummary(Answer):
    """A decided lead in a list."""

    state: Literal["done"]
    lead_id: str
    id: UUID
    source: str | None
    partner: str
    customer: CustomerOf
    product: str
    lead_type: str
    created_at: datetime
    currency: str
    totals: Totals


class DryRun(Answer):
    """What would have happened; nothing was stored."""

    dry_run: Literal[True]
    leads: list[Lead]
    rejected: list[FieldError]
