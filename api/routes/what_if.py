"""What-if: what would have been billed with other prices, another cap or another window. It changes nothing."""

from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import UuidPath
from api.schemas.rate_cards import RateIn
from api.schemas.what_if import WhatIfIn, difference_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.texts import text_key
from billing.what_if import SupposedRate
from db.core.engine import transaction
from db.ledger import what_if, what_if_results
from db.tasks import records

router = APIRouter(route_class=Route, prefix="/api/what-if", tags=["rate cards"])
_FINANCE = requires(Permission.BILL, or_else=Permission.PRICING)


@router.post("", status_code=202, dependencies=[_FINANCE], response_model=answers.TaskStarted)
async def start_what_if(request: Request, body: WhatIfIn) -> Response:
    """Start to judge the real history of some months by other settings; the task's id is that of the result."""
    async with unit_of_work(request) as uow:
        partner_ids = [await partner_id_of(uow.connection, each) for each in dict.fromkeys(body.partners)]
        rates = [await _rate(uow.connection, rate, place) for place, rate in enumerate(body.rates)]
        task_id = await what_if.start(uow, partner_ids, body.supposed(rates))
    return task_started(task_id)


@router.get("/{task_id}", dependencies=[_FINANCE], response_model=answers.WhatIf)
async def get_what_if(request: Request, task_id: UuidPath, limit: Limit = 50, after: After = None) -> Response:
    """The differences by partner, customer and month, in pages, and the sums of each partner once it is done."""
    place = place_from_cursor(after, int) or 0
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
        if task is None or task.kind != what_if.KIND:
            raise _no_what_if(task_id)
        found = await what_if_results.page(connection, task_id, after=place, limit=limit)
    return json_response(
        {
            "task_id": task_id,
            "state": task.state,
            "error": task.error,
            "sums": task.result and task.result["sums"],
            "items": [difference_out(each) for each in found],
            "next": cursor_from_place(found[-1].position) if len(found) == limit else None,
        }
    )


@router.delete("/{task_id}", status_code=204, dependencies=[_FINANCE])
async def cancel_what_if(request: Request, task_id: UuidPath) -> Response:
    """Cancel a what-if that has not ended."""
    async with unit_of_work(request) as uow:
        if not await what_if.cancel(uow, task_id):
            raise _no_what_if(task_id)
    return Response(status_code=204)


async def _rate(connection: asyncpg.Connection, rate: RateIn, place: int) -> SupposedRate:
    """The rule as it is supposed; Problem 400 for one that would leave actions without a price."""
    named = (rate.lead_type, rate.action_type, rate.engagement_level)
    if rate.amount is None and not (rate.partner or rate.product or rate.lead_type or rate.action_type):
        detail = "Every engagement level has a price; give this one an amount."
        raise Problem(400, detail, [FieldError(f"#/rates/{place}/amount", "must not be null")])
    partner_id = await partner_id_of(connection, rate.partner) if rate.partner else None
    product_id = await product_id_of(connection, rate.product) if rate.product else None
    lead_type, action_type, level = (text_key(each) if each else None for each in named)
    conditions = partner_id, product_id, lead_type, action_type, level
    return SupposedRate(conditions, rate.amount, rate.effective_from)


def _no_what_if(task_id: UUID) -> Problem:
    return Problem(404, f"There is no what-if {task_id}.")
