"""Quarantine and dead letters: the leads in them, and retrying these."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner, problem_detail, without_names
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, LongText, RowId
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.intake import dead_letters, quarantine
from db.intake.dead_letters import Retried
from db.intake.quarantine import QuarantinedLead

router = APIRouter(route_class=Route, prefix="/api/quarantine", tags=["quarantine"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


Reason = Literal["unknown_product", "unknown_customer", "conflict", "action_conflict"]


State = Literal["open", "decided", "superseded", "discarded"]


class RetryQuarantineIn(Body):
    """Which rows to try again; none named: all."""

    ids: list[RowId] | None = Field(None, min_length=1, max_length=10_000)


class RetryLettersIn(RetryQuarantineIn):
    """Which dead letters to try again, and `next` of the answer before."""

    after: str | None = Field(None, max_length=2000)


class DiscardIn(Body):
    """Which rows are not to be decided, and why."""

    ids: list[RowId] = Field(min_length=1, max_length=10_000)
    reason: LongText


@router.get(
    "", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Page[answers.Quarantined]
)
async def list_quarantine(
    request: Request, reason: Reason | None = None, state: State = "open", limit: Limit = 50, after: After = None
) -> Response:
    """Accepted leads that cannot be billed yet, oldest first, each with the reason; and those that left, by `state`."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        place = place_from_cursor(after, int) or 0
        page = await quarantine.page(
            connection, reason=reason, after=place, limit=limit, state=state, partner_id=own_partner(request)
        )
    items = [without_names(request, _quarantined_out(request, each), "left_by") for each in page]
    following = cursor_from_place(page[-1].id) if len(page) == limit else None
    return json_response({"items": items, "next": following})


@router.post("/retry", status_code=202, dependencies=[_ADMIN], response_model=answers.TaskStarted)
async def retry_quarantine(request: Request, body: RetryQuarantineIn) -> Response:
    """Evaluate quarantined leads again; those that still cannot be billed stay."""
    async with unit_of_work(request) as uow:
        task_id = await quarantine.start_retry(uow, body.ids)
    return task_started(task_id)


@router.post("/discard", dependencies=[_ADMIN], response_model=answers.Discarded)
async def discard_quarantined(request: Request, body: DiscardIn) -> Response:
    """Let quarantined leads go undecided, for a reason that is kept. Those that are no longer open stay as they are."""
    discarded, not_open = await discarded_rows(request, body)
    return json_response({"discarded": discarded, "not_open": not_open})


async def discarded_rows(request: Request, body: DiscardIn) -> tuple[int, list[int]]:
    """Discard rows; how many, and the ids of those that are no longer open."""
    async with unit_of_work(request) as uow:
        discarded = await quarantine.discard(uow, body.ids, body.reason)
    return len(discarded), sorted(set(body.ids) - set(discarded))


@router.get("/dead-letters", dependencies=[_READ], response_model=answers.Page[answers.DeadLetter])
async def list_dead_letters(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Leads that could not be decided because of a fault, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        page = await dead_letters.page(connection, after=place_from_cursor(after, int) or 0, limit=limit)
    items = [
        {
            "id": letter.id,
            "lead": letter.lead_id,
            "batch_id": letter.batch_id,
            "error": letter.error,
            "received_at": instant_out(letter.received_at),
            "created_at": instant_out(letter.created_at),
        }
        for letter in page
    ]
    following = cursor_from_place(page[-1].id) if len(page) == limit else None
    return json_response({"items": items, "next": following})


@router.post("/dead-letters/retry", dependencies=[_ADMIN], response_model=answers.Retried)
async def retry_dead_letters(request: Request, body: RetryLettersIn) -> Response:
    """Put dead letters back into the inbox, up to 1,000; as long as `next` is not null, send it as `after`."""
    done = await retried_letters(request, body)
    following = cursor_from_place((done.left.start, done.left.stop)) if done.left else None
    return json_response({"retried": done.retried, "of": done.of, "next": following})


async def retried_letters(request: Request, body: RetryLettersIn) -> Retried:
    """Put dead letters back into the inbox."""
    place = place_from_cursor(body.after, tuple[int, int])
    async with unit_of_work(request) as uow:
        return await dead_letters.retry(uow, body.ids, range(*place) if place else None)


def _quarantined_out(request: Request, quarantined: QuarantinedLead) -> dict[str, Any]:
    lead = quarantined.lead
    return {
        "id": quarantined.id,
        "lead_id": lead.external_id,
        "source": lead.source or None,
        "customer": lead.customer,
        "product": lead.product,
        "lead_type": lead.lead_type,
        "actions": len(lead.actions),
        "reason": quarantined.reason,
        "detail": problem_detail(request, quarantined.reason, quarantined.detail),
        "batch_id": quarantined.batch_id,
        "received_at": instant_out(quarantined.received_at),
        "state": quarantined.state,
        "left_at": instant_out(quarantined.left_at),
        "left_by": quarantined.left_by,
        "left_because": quarantined.left_because,
    }
