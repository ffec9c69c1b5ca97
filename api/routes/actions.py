"""Single actions: why they were billed, and holding, releasing and returning them (R10, R11, R15)."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, LongText, UuidPath
from api.schemas.verdicts import action_out_from_line
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import holds
from db.ledger.policies import Policies
from db.reports import explained_actions

router = APIRouter(route_class=Route, prefix="/api/actions", tags=["actions"])
_BILL = requires(Permission.BILL)
_Change = Callable[[UnitOfWork, Policies, UUID, str], Awaitable[None]]


class ReasonIn(Body):
    """Why a person decided so; it is part of the explanation."""

    reason: LongText


@router.get("/{action_id}", dependencies=[requires(Permission.READ)], response_model=answers.Action)
async def get_action(request: Request, action_id: UuidPath) -> Response:
    """One action with every figure behind its verdict, and the sentence that explains it."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        line = await explained_actions.action_line(connection, action_id)
    if line is None:
        raise Problem(404, f"There is no action {action_id}.")
    return json_response(action_out_from_line(line))


@router.post("/{action_id}/hold", dependencies=[_BILL], response_model=answers.Action)
async def hold_action(request: Request, action_id: UuidPath, body: ReasonIn) -> Response:
    """Put an action on hold: it is not billed, holds no key and uses no cap until it is released."""
    return await _change(request, action_id, body, holds.hold)


@router.post("/{action_id}/release", dependencies=[_BILL], response_model=answers.Action)
async def release_action(request: Request, action_id: UuidPath, body: ReasonIn) -> Response:
    """Let a held action count again."""
    return await _change(request, action_id, body, holds.release)


@router.post("/{action_id}/return", dependencies=[_BILL], response_model=answers.Action)
async def return_action(request: Request, action_id: UuidPath, body: ReasonIn) -> Response:
    """Take an action back: not billed if its period is open, credited once in the open period if it is closed."""
    return await _change(request, action_id, body, holds.return_action)


async def _change(request: Request, action_id: UUID, body: ReasonIn, change: _Change) -> Response:
    try:
        async with unit_of_work(request) as uow:
            await change(uow, state_of(request).policies, action_id, body.reason)
            line = await explained_actions.action_line(uow.connection, action_id)
    except LookupError:
        raise Problem(404, f"There is no action {action_id}.") from None
    assert line is not None
    return json_response(action_out_from_line(line))
