"""Adjustments: amounts that Finance adds to a partner's month or takes off (B2)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.bills import AdjustmentIn, adjustment_out
from api.schemas.fields import PeriodQuery, QueryId, UuidPath
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.periods import period_from_text
from db.bills import adjusting, adjustments
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/adjustments", tags=["bills"])


@router.post("", status_code=201, dependencies=[requires(Permission.BILL)], response_model=answers.Adjustment)
async def enter_adjustment(request: Request, body: AdjustmentIn) -> Response:
    """Add an amount to a month, or take one off; 409 once its bill is issued.

    A draft takes it over at once; a closed month without a bill gets one.
    """
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        adjustment_id = await adjusting.enter(
            uow, state_of(request).policies, partner_id, body.period, body.adjustment()
        )
        found = await adjustments.read(uow.connection, adjustment_id)
        assert found is not None
    return json_response(adjustment_out(found), 201)


@router.get("", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.Adjustment])
async def list_adjustments(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    period: PeriodQuery = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Adjustments with who entered them, the newest first; those that were taken back say so."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await adjustments.page(
            connection,
            partner_id=await partner_id_of(connection, partner) if partner else None,
            period=period_from_text(period) if period else None,
            before=place_from_cursor(after, tuple[datetime, UUID]),
            limit=limit,
        )
    following = cursor_from_place((found[-1].entered_at, found[-1].id)) if len(found) == limit else None
    return json_response({"items": [adjustment_out(entry) for entry in found], "next": following})


@router.delete("/{adjustment_id}", status_code=204, dependencies=[requires(Permission.BILL)])
async def take_back_adjustment(request: Request, adjustment_id: UuidPath) -> Response:
    """Take an adjustment back; 409 once its month's bill is issued."""
    async with unit_of_work(request) as uow:
        if not await adjusting.take_back(uow, adjustment_id):
            raise Problem(404, f"There is no adjustment {adjustment_id}.")
    return Response(status_code=204)
