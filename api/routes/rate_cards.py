"""Rate cards: the rules that price actions (R5, R16)."""

from datetime import datetime
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.masters import RateIn, rate_out_from_row
from api.state import state_of
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.ledger.policies import Policies
from db.masters import masters
from db.tasks import records
from db.tasks.notifications import RUN_TASK

router = APIRouter(route_class=Route, prefix="/api/rate-cards", tags=["rate cards"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


@router.post("", status_code=201, dependencies=[_ADMIN], response_model=answers.Rate)
async def create_rate(request: Request, body: RateIn) -> Response:
    """Add a rule. It re-prices open actions; `task` tells how far that is. Closed periods are never touched (409)."""
    state = state_of(request)
    async with transaction(state.engine) as connection:
        partner_id = await partner_id_of(connection, body.partner) if body.partner else None
        product_id = await product_id_of(connection, body.product) if body.product else None
        named = (partner_id, product_id, body.lead_type, body.action_type)
        if body.amount is None and not any(named):
            raise Problem(
                400,
                "Every engagement level has a price; give this one an amount.",
                [FieldError("#/amount", "must not be null for a rule that names a level only")],
            )
        touched = await masters.lock_touched(connection, partner_id, product_id)
        if product_id and not touched:
            errors = [FieldError("#/product", "is not a product of this partner")]
            raise Problem(400, f"Product {body.product!r} is not one of partner {body.partner!r}.", errors)
        start = await _start(connection, state.policies, touched, body.effective_from)
        rule_id = await masters.create_rate(
            connection,
            {
                "partner_id": partner_id,
                "product_id": product_id,
                "lead_type": body.lead_type,
                "action_type": body.action_type,
                "engagement_level": body.engagement_level,
                "lead_type_key": body.lead_type and body.lead_type.casefold(),
                "action_type_key": body.action_type and body.action_type.casefold(),
                "level_key": body.engagement_level and body.engagement_level.casefold(),
                "amount_minor": body.amount,
                "effective_from": start,
            },
        )
        if rule_id is None:
            raise Problem(409, "A rule with the same conditions and the same start exists.")
        await masters.new_version(connection, touched)
        task_id = await records.create(connection, "reevaluate", {"partner_ids": touched}, request.scope["request_id"])
        row = await masters.rate(connection, rule_id)
    assert row is not None
    state.policies.clear()
    state.notifier.notify(RUN_TASK, str(task_id), request_id=request.scope["request_id"])
    task = {"task_id": task_id, "status_url": f"/api/tasks/{task_id}"}
    return json_response(rate_out_from_row(row) | {"task": task}, 201)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Rate])
async def list_rates(request: Request, limit: Limit = 100, after: After = None) -> Response:
    """All rules, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await masters.rates(connection, after=place_from_cursor(after, int) or 0, limit=limit)
    following = cursor_from_place(rows[-1]["id"]) if len(rows) == limit else None
    return json_response({"items": [rate_out_from_row(row) for row in rows], "next": following})


@router.get("/{rule_id}", dependencies=[_READ], response_model=answers.Rate)
async def get_rate(request: Request, rule_id: int) -> Response:
    """One rule."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        row = await masters.rate(connection, rule_id) if 0 < rule_id < 2**63 else None
    if row is None:
        raise Problem(404, f"There is no rule {rule_id}.")
    return json_response(rate_out_from_row(row))


async def _start(
    connection: asyncpg.Connection, policies: Policies, touched: list[UUID], asked: datetime | None
) -> datetime | None:
    """When the rule starts: as asked, or as early as R16 allows; None is the beginning of time."""
    earliest: datetime | None = None
    for policy in (await policies.load(connection, touched)).values():
        if policy.first_open:
            start = policy.calendar.start_of(policy.first_open)
            earliest = max(earliest or start, start)
    if asked is None or earliest is None:
        return asked or earliest
    if asked < earliest:
        raise Problem(
            409,
            f"The rule would start in a closed period of a partner it touches; "
            f"it can start at {instant_out(earliest)} or later.",
        )
    return asked
