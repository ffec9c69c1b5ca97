"""Closing and reopening periods (R11)."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner, without_names
from api.ids import partner_id_of
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, IdPath, Period, PeriodPath
from api.state import state_of, unit_of_work
from api.wire import amount_out, instant_out, json_response
from billing.periods import period_from_text, text_from_period
from billing.policy import Policy
from db.bills import reopening
from db.core.engine import transaction
from db.intake import undecided
from db.intake.closing_request import request_close
from db.ledger import after_end
from db.ledger.periods import PeriodFigures, figures

router = APIRouter(route_class=Route, prefix="/api/partners/{partner:path}/periods", tags=["periods"])
_READ = requires(Permission.READ, within_partner=True)
_BILL = requires(Permission.BILL, within_partner=True)


_OF_ALL_PARTNERS = ("waiting", "unknown_product", "dead_letters")


class CloseIn(Body):
    """Which periods to close."""

    through: Period


@router.post("/close", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def close_periods(request: Request, partner: IdPath, body: CloseIn) -> Response:
    """Close every open period through the one named, oldest first, as if each was closed by itself."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner, within=own_partner(request))
        policies, now = state_of(request).policies, datetime.now(UTC)
        task_id = await request_close(uow, policies, partner_id, body.through, now, with_earlier=True)
    return task_started(task_id)


@router.post("/{period}/close", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def close_period(request: Request, partner: IdPath, period: PeriodPath) -> Response:
    """Freeze a period's verdicts, once all leads accepted before are decided; the task tells how far that is."""
    state = state_of(request)
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner, within=own_partner(request))
        task_id = await request_close(uow, state.policies, partner_id, period_from_text(period), datetime.now(UTC))
    return task_started(task_id)


@router.post("/{period}/reopen", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def reopen_period(request: Request, partner: IdPath, period: PeriodPath) -> Response:
    """Let the newest closed period's verdicts change again; the task re-evaluates the partner's actions."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner, within=own_partner(request))
        task_id = await reopening.reopen(uow, state_of(request).policies, partner_id, period_from_text(period))
    return task_started(task_id)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Period])
async def list_periods(request: Request, partner: IdPath) -> Response:
    """The periods in which the partner has actions, and all closed ones, oldest first, with bounds and figures."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner, within=own_partner(request))
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        found = await figures(connection, policy)
    return json_response({"items": [_period_fields(policy, each) for each in found], "next": None})


@router.get("/{period}", dependencies=[_READ], response_model=answers.PeriodToClose)
async def get_period(
    request: Request,
    partner: IdPath,
    period: PeriodPath,
    with_earlier: Annotated[bool, Query(description="count what is `undecided` of all periods before it, too")] = False,
) -> Response:
    """A period with its figures, what was accepted for it and would not be billed in it if it closed now.

    And how many actions it bills that happened after the end of the contract.
    """
    state, month = state_of(request), period_from_text(period)
    async with transaction(state.engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner, within=own_partner(request))
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        found = await figures(connection, policy, month, month) or [PeriodFigures(month, 0, 0)]
        left = await undecided.count(connection, policy, month, with_earlier=with_earlier)
        ended = await after_end.count(connection, [partner_id], month)
    shown = {
        "undecided": without_names(request, asdict(left), *_OF_ALL_PARTNERS),
        "after_end": ended[partner_id],
    }
    return json_response(_period_fields(policy, found[0]) | shown)


def _period_fields(policy: Policy, figures: PeriodFigures) -> dict[str, Any]:
    return {
        "period": text_from_period(figures.period),
        "starts_at": instant_out(policy.calendar.start_of(figures.period)),
        "ends_at": instant_out(policy.calendar.end_of(figures.period)),
        "closed": not policy.is_open(figures.period),
        "currency": policy.currency,
        "billed": amount_out(figures.billed_minor),
        "credited": amount_out(figures.credited_minor),
        "net": amount_out(figures.billed_minor - figures.credited_minor),
    }
