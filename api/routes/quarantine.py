"""What was set aside: leads in quarantine and dead letters, to look at and to try again."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.access.permissions import Permission, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routes.tasks import accepted_task
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, RowId
from api.state import state_of
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.intake import dead_letters, inbox, quarantine, worker_batch
from db.tasks import records
from db.tasks.notifications import PROCESS_LEADS

router = APIRouter(route_class=Route, prefix="/api/quarantine", tags=["quarantine"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


Reason = Literal["unknown_product", "unknown_customer", "conflict"]


class RetryIn(Body):
    """Which rows to try again; none named: all."""

    ids: list[RowId] | None = Field(None, min_length=1, max_length=10_000)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Quarantined])
async def list_quarantine(
    request: Request, reason: Reason | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """Accepted leads that cannot be billed yet, oldest first, each with the reason."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await quarantine.page(connection, reason=reason, after=place_from_cursor(after, int) or 0, limit=limit)
    items = []
    for row in rows:
        lead = inbox.lead_from_payload(row["payload"])
        items.append(
            {
                "id": row["id"],
                "lead_id": lead.external_id,
                "source": lead.source or None,
                "customer": lead.customer,
                "product": lead.product,
                "lead_type": lead.lead_type,
                "actions": len(lead.actions),
                "reason": row["reason"],
                "detail": row["detail"],
                "batch_id": row["batch_id"],
                "received_at": instant_out(row["received_at"]),
            }
        )
    following = cursor_from_place(rows[-1]["id"]) if len(rows) == limit else None
    return json_response({"items": items, "next": following})


@router.post("/retry", status_code=202, dependencies=[_ADMIN], response_model=answers.TaskStarted)
async def retry_quarantine(request: Request, body: RetryIn) -> Response:
    """Evaluate quarantined leads again; those that still cannot be billed stay."""
    async with transaction(state_of(request).engine) as connection:
        task_id = await records.create(connection, "retry_quarantine", {"ids": body.ids}, request.scope["request_id"])
    return accepted_task(request, task_id)


@router.get("/dead-letters", dependencies=[_READ], response_model=answers.Page[answers.DeadLetter])
async def list_dead_letters(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Leads that could not be decided because of a fault, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await dead_letters.page(connection, after=place_from_cursor(after, int) or 0, limit=limit)
    items = [
        {
            "id": row["id"],
            "lead": row["lead_id"],
            "batch_id": row["batch_id"],
            "error": row["error"],
            "received_at": instant_out(row["received_at"]),
            "created_at": instant_out(row["created_at"]),
        }
        for row in rows
    ]
    following = cursor_from_place(rows[-1]["id"]) if len(rows) == limit else None
    return json_response({"items": items, "next": following})


@router.post("/dead-letters/retry", dependencies=[_ADMIN], response_model=answers.Retried)
async def retry_dead_letters(request: Request, body: RetryIn) -> Response:
    """Put dead letters back into the inbox."""
    state = state_of(request)
    async with transaction(state.engine) as connection:
        retried = await worker_batch.retry_dead_letters(connection, body.ids)
    state.notifier.notify(PROCESS_LEADS, request_id=request.scope["request_id"])
    return json_response({"retried": retried})
