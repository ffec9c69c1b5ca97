"""Quarantine and dead letters: the leads in them, and retrying these."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.access.permissions import Permission, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, RowId
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.intake import dead_letters, quarantine
from db.intake.quarantine import QuarantinedLead

router = APIRouter(route_class=Route, prefix="/api/quarantine", tags=["quarantine"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


Reason = Literal["unknown_product", "unknown_customer", "conflict", "action_conflict"]


class RetryIn(Body):
    """Which rows to try again; none named: all."""

    ids: list[RowId] | None = Field(None, min_length=1, max_length=10_000)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Quarantined])
async def list_quarantine(
    request: Request, reason: Reason | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """Accepted leads that cannot be billed yet, oldest first, each with the reason."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        page = await quarantine.page(connection, reason=reason, after=place_from_cursor(after, int) or 0, limit=limit)
    items = [_quarantined_out(each) for each in page]
    following = cursor_from_place(page[-1].id) if len(page) == limit else None
    return json_response({"items": items, "next": following})


@router.post("/retry", status_code=202, dependencies=[_ADMIN], response_model=answers.TaskStarted)
async def retry_quarantine(request: Request, body: RetryIn) -> Response:
    """Evaluate quarantined leads again; those that still cannot be billed stay."""
    async with unit_of_work(request) as uow:
        task_id = await quarantine.start_retry(uow, body.ids)
    return task_started(task_id)


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
async def retry_dead_letters(request: Request, body: RetryIn) -> Response:
    """Put dead letters back into the inbox."""
    async with unit_of_work(request) as uow:
        retried = await dead_letters.retry(uow, body.ids)
    return json_response({"retried": retried})


def _quarantined_out(quarantined: QuarantinedLead) -> dict[str, Any]:
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
        "detail": quarantined.detail,
        "batch_id": quarantined.batch_id,
        "received_at": instant_out(quarantined.received_at),
    }
