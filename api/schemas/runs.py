"""What the routes of the billing scheduler take and give."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StrictBool

from api.schemas.fields import Body, Id, Period, Text, UuidText
from api.wire import instant_out
from billing.periods import text_from_period
from db.runs.records import Item

MOST_SHOPS = 10_000


class ShopRunIn(Body):
    """Which month of a partner to bill."""

    period: Annotated[Period | None, Field(description="by default last month")] = None
    dry_run: StrictBool = False


class RunIn(ShopRunIn):
    """Which month of which partners to bill."""

    shop_ids: Annotated[list[Id] | None, Field(min_length=1, max_length=MOST_SHOPS)] = None
    trigger_source: Annotated[
        Text | None, Field(description="what starts it, in words of yours; `cli` is the command line")
    ] = None


class DifferenceIn(Body):
    """Which partner's month to compare with the month before."""

    partner: Id
    period: Period


class RetryRunsIn(Body):
    """Which dead letters of runs to bill again."""

    ids: Annotated[list[UuidText], Field(min_length=1, max_length=MOST_SHOPS)]


def started_out(run_id: UUID, task_id: UUID) -> dict[str, Any]:
    """A run that was started, with where to look, and the task that does it."""
    return {"run_id": run_id, "status_url": f"/api/billing-scheduler/status?run={run_id}", "task_id": task_id}


def dead_letter_out(item: Item) -> dict[str, Any]:
    """A dead letter of a run."""
    return {
        "id": item.id,
        "run": item.run_id,
        "partner": item.partner,
        "period": text_from_period(item.period),
        "error": item.error,
        "attempts": item.attempts,
        "failed_at": instant_out(item.finished_at),
    }
