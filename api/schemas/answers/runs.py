"""Runs of the monthly billing."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer, Money, Month
from api.schemas.answers.tasks import Progress

Ended = Literal["successful", "failed", "skipped", "waiting"]


class RunStarted(Answer):
    """A run, and where to look how far it is; a delivery that starts none says why."""

    run_id: UUID | None
    status_url: str | None
    task_id: UUID | None
    ignored: str | None = None


class StartedBy(Answer):
    """Who started a run."""

    kind: str
    name: str


class RunResult(Answer):
    """What became of a partner's period; `note` says why a bill is no further, or why there is none."""

    partner: str
    period: Month
    outcome: Ended
    state: str
    bill: UUID | None
    currency: str
    gross: Money | None = Field(description="what the totals of the run add up")
    total: Money | None = Field(description="what the bill asks for: `gross`, or 0.00 if that is below")
    note: str | None


class RunError(Answer):
    """What kept a partner's period from being billed, at the last attempt."""

    partner: str
    period: Month
    error: str


class Run(Answer):
    """A run; the results of each partner's period are shown where the run is named.

    `error` is why it failed as a whole; what it had not billed then is due for the next one.
    """

    run_id: UUID
    state: Literal["waiting", "running", "done", "failed"]
    trigger: str
    trigger_source: str | None
    period: Month | None
    dry_run: bool
    started_by: StartedBy
    started_at: datetime
    completed_at: datetime | None
    error: str | None
    progress: Progress
    processed: int
    successful: int
    failed: int
    skipped: int
    waiting: int
    totals: dict[str, Money]
    results: list[RunResult]
    errors: list[RunError]
    errors_left_out: int


class SchedulerStatus(Answer):
    """Whether months are billed by themselves, when it is looked for ended ones next, and the last runs.

    `next` leads to more results of the run that was named.
    """

    enabled: bool
    next_run_at: datetime | None
    runs: list[Run]
    next: str | None


class SchedulerHealth(Answer):
    """Whether all is well with runs, and what is not."""

    status: Literal["ok", "degraded"]
    enabled: bool
    enabled_at: datetime | None
    dead_letters: int
    degraded: list[str]


class RunDeadLetter(Answer):
    """A partner's period that failed three times; only a person retries it."""

    id: UUID
    run: UUID
    partner: str
    period: Month
    error: str
    attempts: int
    failed_at: datetime


class Findings(Answer):
    """What to look at before a partner's month closes; counts go up to 10,000."""

    partner: str
    waiting: int = Field(description="leads that are not decided yet, of all months; closing waits for them")
    quarantined: int
    held: int
    stale: int
    dead_letters: int
    after_end: int = Field(description="actions of the month after the end of the contract; they are billed")
    usage_missing: bool
    only_shipped_prices: bool
    is_fine: bool


class FindingsOfEverybody(Answer):
    """What may concern any partner; counts go up to 10,000."""

    waiting: int = Field(description="counted for no partner: of unknown products, or more wait than are told apart")
    unknown_product: int
    dead_letters: int


class PreClose(Answer):
    """A page of partners before a month closes."""

    period: Month
    of_everybody: FindingsOfEverybody
    items: list[Findings]
    next: str | None


class RunsRetried(Answer):
    """The runs that bill dead letters again."""

    runs: list[UUID]
