"""What the routes answer, for the OpenAPI document. A test holds every answer against it, so neither can drift."""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from billing.actions import Outcome

Item = TypeVar("Item")

Money = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["10.00"])]
Month = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2024-04"])]


class Answer(BaseModel):
    """Nothing but the fields that it names."""

    model_config = ConfigDict(extra="forbid")


class Page(Answer, Generic[Item]):
    """Some items, and where the next page begins."""

    items: list[Item]
    next: str | None = Field(description="send it as `after` for the next page; null on the last one")


class Totals(Answer):
    """gross = billed + duplicate_savings + cap_savings + held + returned."""

    leads: int
    actions: int
    gross: Money
    billed: Money
    duplicate_savings: Money
    cap_savings: Money
    savings: Money
    held: Money
    returned: Money


class FieldFault(Answer):
    """One bad field."""

    pointer: str
    index: int | None = None
    detail: str


class Accepted(Answer):
    """The leads are stored durably."""

    batch_id: UUID
    accepted: int
    status_url: str
    rejected: list[FieldFault] | None = Field(None, description="only with ?partial=true")


class LeadCounts(Answer):
    """How many leads became what."""

    new: int
    extended: int
    replayed: int
    quarantined: int
    dead: int | None = Field(None, description="only if a fault kept some from being decided")


class ActionCounts(Answer):
    """How many actions became what."""

    billed: int
    partly_billed: int
    capped: int
    duplicate: int
    held: int
    replayed: int
    quarantined: int


class LeadProblem(Answer):
    """Why a lead of a batch was set aside."""

    index: int
    lead_id: str
    reason: Literal["unknown_product", "unknown_customer", "conflict"]
    detail: str


class Batch(Answer):
    """What became of the leads of one request, as decided at done_at."""

    batch_id: UUID
    state: Literal["waiting", "done"]
    received_at: datetime
    done_at: datetime | None
    accepted: int
    leads: LeadCounts
    actions: ActionCounts
    problems: list[LeadProblem]


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
    reason: str = Field(description="why it was or was not billed, in one sentence")


class ActionSent(Answer):
    """An action that is not decided yet."""

    action_type: str
    engagement_level: str
    occurred_at: datetime


class QuarantineProblem(Answer):
    """Why a lead is in quarantine."""

    reason: Literal["unknown_product", "unknown_customer", "conflict", "fault"]
    detail: str


class Lead(Answer):
    """A lead; what only a decided one has is missing while it waits or is in quarantine."""

    state: Literal["waiting", "quarantined", "done"]
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
    rejected: list[FieldFault]


class CustomerPart(Answer):
    """One customer's part of a report."""

    customer: CustomerOf
    totals: Totals
    credited: Money


class ProductPart(Answer):
    """One product's part of a report."""

    product: str
    name: str
    totals: Totals


class Report(Answer):
    """A live report; `version` is the last one written, 0 if none was."""

    report_id: UUID
    version: int
    partner: str
    partner_name: str
    period: Month
    currency: str
    as_of: datetime
    final: bool
    digest: str
    totals: Totals
    credited: Money
    explanation: str
    customers: list[CustomerPart]
    products: list[ProductPart]


class ReportFile(Answer):
    """A file of a written version."""

    format: str
    size_bytes: int
    sha256: str
    url: str


class ReportVersion(Answer):
    """A version as it was written."""

    report_id: UUID
    version: int
    period: Month
    currency: str
    as_of: datetime
    final: bool
    digest: str
    totals: Totals
    credited: Money
    products: list[ProductPart]
    files: list[ReportFile]


class TaskStarted(Answer):
    """A background task; `status_url` tells how far it is."""

    task_id: UUID
    status_url: str


class Progress(Answer):
    """How far a task is."""

    done: int
    total: int


class Task(Answer):
    """A background task."""

    task_id: UUID
    kind: str
    state: Literal["waiting", "running", "done", "failed"]
    progress: Progress
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class Partner(Answer):
    """A partner with the terms in force."""

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
    monthly_api_limit: int | None
    overage_unit_cost: Money | None
    csm: str | None
    csm_must_approve: bool
    start_date: date | None
    end_date: date | None
    preferences: dict[str, Any]
    terms_since: Month | None
    created_at: datetime
    task: TaskStarted | None = Field(None, description="re-evaluates open actions after a change of terms")


class Product(Answer):
    """A product."""

    product_id: UUID
    external_id: str
    partner: str
    name: str
    description: str | None
    created_at: datetime


class Customer(Answer):
    """A customer with the other ids that mean this person."""

    customer_id: UUID
    external_id: str
    name: str
    email: str
    aliases: list[str]
    created_at: datetime


class Rate(Answer):
    """A rate rule."""

    rule_id: int
    partner: str | None
    product: str | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount: Money | None
    effective_from: datetime | None
    created_at: datetime
    task: TaskStarted | None = Field(None, description="re-evaluates the open actions that the rule can price")


class Period(Answer):
    """A month with its bounds, half open."""

    period: Month
    starts_at: datetime
    ends_at: datetime
    closed: bool


class Quarantined(Answer):
    """A lead in quarantine."""

    id: int
    lead_id: str
    source: str | None
    customer: str
    product: str
    lead_type: str
    actions: int
    reason: Literal["unknown_product", "unknown_customer", "conflict"]
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


class Pause(Answer):
    """Who had the workers pause, when and why."""

    paused_at: datetime
    paused_by: str = Field(description="the name of the API key")
    reason: str


class Workers(Answer):
    """Whether leads are being decided."""

    state: Literal["running", "paused"]
    pause: Pause | None


class StuckPart(Answer):
    """A part of a batch that waits for long."""

    id: int
    batch_id: UUID
    part: int
    leads: int
    request_id: str
    received_at: datetime
    waited_s: float
    why: str = Field(description="what keeps it from being decided, as far as Postgres can tell")


class Notified(Answer):
    """How many parts of batches were rung for."""

    notified_for: int
    rung_for: int = Field(deprecated=True, description="the former name of `notified_for`; goes with release 0.3")


class Key(Answer):
    """A key without its secret."""

    key_id: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(Answer):
    """A key with its secret, which is shown nowhere else."""

    key_id: UUID
    name: str
    scopes: list[str]
    key: str


class RotatedKey(Answer):
    """The new key with its secret."""

    key_id: UUID
    key: str
    replaces: UUID
    overlap_s: int


class Health(Answer):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Answer):
    """Leads can be accepted; what does not work is listed."""

    status: Literal["ok", "degraded"]
    degraded: list[str]
