"""Held actions, and decisions about them (M4, R10)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, LongText, PeriodQuery, QueryId, Text, UuidText
from api.schemas.fraud import at_risk_out, held_out
from api.state import state_of, unit_of_work
from api.wire import json_response, list_response
from billing.periods import period_from_text
from db.core.engine import transaction
from db.fraud import held
from db.fraud.held import Decision, HeldFilter

MOST_DECIDED = 500

router = APIRouter(route_class=Route, prefix="/api/held", tags=["fraud"])


class HeldDecisionIn(Body):
    """What becomes of held actions, and why."""

    actions: list[UuidText] = Field(min_length=1, max_length=MOST_DECIDED)
    decision: Decision
    reason: LongText


@router.get("", dependencies=[requires(Permission.READ)], response_model=answers.HeldPage)
async def list_held(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    period: PeriodQuery = None,
    rule: Annotated[Text | None, Query(description="only what this fraud rule holds")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Actions that are held, by fraud or by a person, with the rule, its version, the score and the facts.

    The first page says what all of them are worth.
    """
    async with transaction(state_of(request).engine, readonly=True) as connection:
        only = HeldFilter(
            await partner_id_of(connection, partner) if partner else None,
            period_from_text(period) if period else None,
            rule,
        )
        found = await held.page(connection, only, after=place_from_cursor(after, tuple[UUID, UUID]), limit=limit)
        worth = None if after else await held.at_risk(connection, only)
    following = cursor_from_place((found[-1].partner_id, found[-1].action_id)) if len(found) == limit else None
    return json_response(
        {
            "items": [held_out(each) for each in found],
            "next": following,
            "at_risk": None if worth is None else [at_risk_out(each) for each in worth],
        }
    )


@router.post("/decide", dependencies=[requires(Permission.BILL)], response_model=answers.Page[answers.DecidedAction])
async def decide_held(request: Request, body: HeldDecisionIn) -> Response:
    """Release held actions, for good, or confirm them, which returns them; each customer's in a transaction of its own.

    Each action is answered with 200, 404 or 409. Repeating it is safe.
    """
    return list_response(await decided_actions(request, body))


async def decided_actions(request: Request, body: HeldDecisionIn) -> list[dict[str, object]]:
    """Decide about actions; what became of each."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        owners = await held.owners(connection, body.actions)
    by_customer: dict[tuple[UUID, UUID], list[UUID]] = {}
    for action_id in dict.fromkeys(body.actions):
        if action_id in owners:
            by_customer.setdefault(owners[action_id], []).append(action_id)
    decided: set[UUID] = set()
    for customer, action_ids in sorted(by_customer.items()):
        async with unit_of_work(request) as uow:
            decided |= await held.decide(uow, state.policies, customer, action_ids, body.decision, body.reason)
    return [_decided_out(each, each in owners, each in decided) for each in dict.fromkeys(body.actions)]


def _decided_out(action_id: UUID, is_known: bool, is_decided: bool) -> dict[str, object]:
    if not is_known:
        return {"action": action_id, "status": 404, "detail": f"There is no action {action_id}."}
    if not is_decided:
        return {"action": action_id, "status": 409, "detail": "The action is not held."}
    return {"action": action_id, "status": 200, "detail": None}
