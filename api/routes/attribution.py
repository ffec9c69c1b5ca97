"""Attribution: what a partner's month cost by lead type, product, action type, level or source."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.attribution import part_out
from api.schemas.fields import LongText, Period, QueryId
from api.state import state_of
from api.wire import json_response
from billing.attribution.models import By, Model
from db.core.engine import transaction
from db.reports import attribution

router = APIRouter(route_class=Route, prefix="/api/billing/attribution", tags=["reports"])


@router.get(
    "",
    dependencies=[requires(Permission.READ, within_partner=True)],
    response_model=answers.Page[answers.Attribution],
    responses={200: {"content": {"text/csv": {}}}},
)
async def get_attribution(
    request: Request,
    period: Annotated[Period | None, Query(description="a month; default: the current one")] = None,
    partner: Annotated[QueryId | None, Query(description="whose; a caller bound to a partner need not say")] = None,
    by: By = By.LEAD_TYPE,
    model: Annotated[Model, Query(description="how `credit` divides what converting actions cost")] = Model.LINEAR,
    converting: Annotated[
        LongText | None, Query(description="the converting action types, with commas between; default: as configured")
    ] = None,
    kind: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> Response:
    """Leads, actions, customers, money, cost per customer and return rate of a month, by one dimension.

    The rows add up to the live report, and so does `credit` under every model.
    """
    state, within = state_of(request), own_partner(request)
    if partner is None and within is None:
        raise Problem(400, "Name a partner.", [FieldError("query:partner", "is missing")])
    types = (converting or state.settings.converting_actions).split(",")
    async with transaction(state.engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner, within=within) if partner else within
        assert partner_id is not None
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        month = period or policy.calendar.period_of(datetime.now(UTC))
        parts = await attribution.read(connection, partner_id, month, by, model, types)
    if kind == "csv":
        return Response(attribution.csv_text(parts, policy.currency), media_type="text/csv")
    return json_response({"items": [part_out(each) for each in parts], "next": None})
