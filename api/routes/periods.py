"""Closing and reopening periods (R11)."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath, PeriodPath
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from billing.periods import period_from_text, text_from_period
from db.core.engine import transaction
from db.intake.closing_request import request_close
from db.ledger import closing
from db.ledger.periods import periods_used

router = APIRouter(route_class=Route, prefix="/api/partners/{partner:path}/periods", tags=["periods"])
_BILL = requires(Permission.BILL)


@router.post("/{period}/close", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def close_period(request: Request, partner: IdPath, period: PeriodPath) -> Response:
    """Freeze a period's verdicts, once all leads accepted before are decided; the task tells how far that is."""
    state = state_of(request)
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner)
        task_id = await request_close(uow, state.policies, partner_id, period_from_text(period), datetime.now(UTC))
    return task_started(task_id)


@router.post("/{period}/reopen", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def reopen_period(request: Request, partner: IdPath, period: PeriodPath) -> Response:
    """Let the newest closed period's verdicts change again; the task re-evaluates the partner's actions."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner)
        task_id = await closing.reopen(uow, state_of(request).policies, partner_id, period_from_text(period))
    return task_started(task_id)


@router.get("", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.Period])
async def list_periods(request: Request, partner: IdPath) -> Response:
    """The periods in which the partner has actions, oldest first, with their bounds and whether they are closed."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner)
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        used = await periods_used(connection, partner_id)
    items = [
        {
            "period": text_from_period(period),
            "starts_at": instant_out(policy.calendar.start_of(period)),
            "ends_at": instant_out(policy.calendar.end_of(period)),
            "closed": not policy.is_open(period),
        }
        for period in used
    ]
    return json_response({"items": items, "next": None})
