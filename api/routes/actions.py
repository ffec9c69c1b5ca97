"""Single actions: why they were billed; holding, releasing, returning and correcting them (R3, R10, R11, R15)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Instant, Level, LongText, Text, UuidPath
from api.schemas.leads import AHEAD
from api.schemas.returns import GivenReason
from api.schemas.verdicts import action_out_from_line
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.bills import returning, returns
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import corrections, holds, reading
from db.ledger.corrections import Correction
from db.ledger.policies import Policies
from db.reports import explained_actions

router = APIRouter(route_class=Route, prefix="/api/actions", tags=["actions"])
_BILL = requires(Permission.BILL, within_partner=True)
_Change = Callable[[UnitOfWork, Policies, UUID], Awaitable[object]]


class ReasonIn(Body):
    """Why a person decided so; it is part of the explanation."""

    reason: LongText


class ReturnIn(Body):
    """Why an action is returned."""

    reason: GivenReason


class CorrectionIn(ReasonIn):
    """What is right about a wrong action; what is not named stays as it is."""

    action_type: Text | None = None
    engagement_level: Level | None = None
    occurred_at: Instant | None = None


@router.get(
    "/{action_id}", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Action
)
async def get_action(request: Request, action_id: UuidPath) -> Response:
    """One action with every figure behind its verdict, and the sentence that explains it."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await _require_visible(request, connection, action_id)
        line = await explained_actions.action_line(connection, action_id)
    if line is None:
        raise Problem(404, f"There is no action {action_id}.")
    return json_response(action_out_from_line(line))


@router.post("/{action_id}/hold", dependencies=[_BILL], response_model=answers.Action)
async def hold_action(request: Request, action_id: UuidPath, body: ReasonIn) -> Response:
    """Put an action on hold: it is not billed, holds no key and uses no cap until it is released."""
    return await _change(request, action_id, partial(holds.hold, reason=body.reason))


@router.post("/{action_id}/release", dependencies=[_BILL], response_model=answers.Action)
async def release_action(request: Request, action_id: UuidPath, body: ReasonIn) -> Response:
    """Let a held action count again, or one that was returned in a month that is still open."""
    return await _change(request, action_id, partial(holds.release, reason=body.reason))


@router.post("/{action_id}/return", dependencies=[_BILL], response_model=answers.Action)
async def return_action(request: Request, action_id: UuidPath, body: ReturnIn) -> Response:
    """Take an action back: not billed if its period is open, credited once in the open period if it is closed.

    A key that is bound to a partner asks for that, and Finance decides.
    """
    decide = returning.return_action if caller_of(request).may(Permission.BILL) else returning.ask
    return await _change(request, action_id, partial(decide, given=body.reason, now=datetime.now(UTC)))


@router.post("/{action_id}/correct", dependencies=[_BILL], response_model=answers.Action)
async def correct_action(request: Request, action_id: UuidPath, body: CorrectionIn) -> Response:
    """Return a wrong action and judge the right one, which is answered; each names the other. Repeating it is safe."""
    correction = Correction(body.action_type, body.engagement_level, body.occurred_at)
    if correction == Correction():
        detail = "name at least one of action_type, engagement_level and occurred_at"
        raise Problem(400, "The correction changes nothing.", [FieldError("#", detail)])
    if body.occurred_at is not None and body.occurred_at > datetime.now(UTC) + AHEAD:
        detail = "lies more than 24 hours ahead"
        raise Problem(400, "The request is not valid.", [FieldError("#/occurred_at", detail)])
    try:
        async with unit_of_work(request) as uow:
            await _require_visible(request, uow.connection, action_id)
            await returns.check(uow.connection, state_of(request).policies, action_id, datetime.now(UTC))
            right_id = await corrections.correct(uow, state_of(request).policies, action_id, correction, body.reason)
            line = await explained_actions.action_line(uow.connection, right_id)
    except LookupError:
        raise Problem(404, f"There is no action {action_id}.") from None
    assert line is not None
    return json_response(action_out_from_line(line))


async def _require_visible(request: Request, connection: asyncpg.Connection, action_id: UUID) -> None:
    """Problem 404 for an action of another partner than the one that the caller is bound to."""
    within = own_partner(request)
    if within and await reading.partner_of_action(connection, action_id) != within:
        raise Problem(404, f"There is no action {action_id}.")


async def _change(request: Request, action_id: UUID, change: _Change) -> Response:
    try:
        async with unit_of_work(request) as uow:
            await _require_visible(request, uow.connection, action_id)
            await change(uow, state_of(request).policies, action_id)
            line = await explained_actions.action_line(uow.connection, action_id)
    except LookupError:
        raise Problem(404, f"There is no action {action_id}.") from None
    assert line is not None
    return json_response(action_out_from_line(line))
