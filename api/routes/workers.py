"""The workers: pausing and resuming them, and what waits for them for too long."""

from dataclasses import asdict
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Text
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.tasks import pauses, stuck
from db.tasks.pauses import Pause

log = structlog.get_logger()

router = APIRouter(route_class=Route, prefix="/api/workers", tags=["workers"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)

OlderThan = Annotated[float, Query(ge=0, le=1e9, description="seconds that a part has waited")]


class PauseIn(Body):
    """Why the workers are to stop."""

    reason: Text


@router.get("", dependencies=[_READ], response_model=answers.Workers)
async def get_workers(request: Request) -> Response:
    """Whether leads are being decided, or who had the workers pause, when and why."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        return json_response(_workers_out(await pauses.current(connection)))


@router.post("/pause", dependencies=[_ADMIN], response_model=answers.Workers)
async def pause_workers(request: Request, body: PauseIn) -> Response:
    """Have no more leads decided, once each worker has ended the batch at hand; leads are accepted as ever.

    The pause holds until it is ended, whatever is restarted. Closing and the retry of the quarantine wait for its end
    where they need leads decided; rebuilds, re-evaluations and reports go on. Workers that are paused already stay
    paused for the first reason.
    """
    by = caller_of(request).actor.name
    async with unit_of_work(request) as uow:
        begun = await pauses.begin(uow, body.reason)
        pause = await pauses.current(uow.connection)
    if begun:
        log.warning("workers_paused", paused_by=by, reason=body.reason)
    return json_response(_workers_out(pause))


@router.post("/resume", dependencies=[_ADMIN], response_model=answers.Workers)
async def resume_workers(request: Request) -> Response:
    """Have leads decided again; the workers are notified at once."""
    async with unit_of_work(request) as uow:
        ended = await pauses.end(uow)
    if ended:
        log.warning("workers_resumed", resumed_by=caller_of(request).actor.name)
    return json_response(_workers_out(None))


@router.get("/stuck", dependencies=[_READ], response_model=answers.Page[answers.StuckPart])
async def list_stuck(
    request: Request, older_than_s: OlderThan = 60.0, limit: Limit = 50, after: After = None
) -> Response:
    """Parts of batches that wait for long, oldest first, each with what keeps it from being decided."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        parts = await stuck.page(
            connection, older_than_s=older_than_s, after=place_from_cursor(after, int) or 0, limit=limit
        )
    following = cursor_from_place(parts[-1].id) if len(parts) == limit else None
    items = [asdict(part) | {"received_at": instant_out(part.received_at)} for part in parts]
    return json_response({"items": items, "next": following})


@router.post("/stuck/retry", dependencies=[_ADMIN], response_model=answers.Notified)
async def retry_stuck(request: Request, older_than_s: OlderThan = 60.0) -> Response:
    """Notify the workers of what waits, as beat should have done; 409 while the workers are paused."""
    async with unit_of_work(request) as uow:
        parts = await stuck.retry(uow, older_than_s)
    return json_response({"notified_for": parts, "rung_for": parts})


def _workers_out(pause: Pause | None) -> dict[str, object]:
    shown = asdict(pause) | {"paused_at": instant_out(pause.paused_at)} if pause else None
    return {"state": "paused" if pause else "running", "pause": shown}
