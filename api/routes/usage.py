"""Usage: units that others count, which bills charge above a limit (B2)."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner, without_names
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routing import Route
from api.schemas import answers
from api.schemas.contracts import Source, UsageIn, usage_out_from_usage
from api.schemas.fields import PeriodQuery, QueryId
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.periods import period_from_text
from db.contracts import usage
from db.contracts.usage import Usage, UsageFilter, UsageKey
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/usage", tags=["contracts"])


@router.post(
    "",
    status_code=201,
    dependencies=[requires(Permission.INGEST, within_partner=True, or_else=Permission.BILL)],
    response_model=answers.Usage,
    responses={200: {"model": answers.Usage, "description": "It is there already, just so."}},
)
async def enter_usage(request: Request, body: UsageIn) -> Response:
    """Enter units of a partner's month; the same again answers 200, other units under the same key 409.

    With `replace` other units take their place; who entered what is kept. 409 once the month's bill is issued.
    """
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner, within=own_partner(request))
        key = UsageKey(partner_id, body.period, body.source, body.key)
        entered = await usage.enter(uow, key, body.units, datetime.now(UTC), replace=body.replace)
        found = await usage.read(uow.connection, key)
        assert found is not None
    return json_response(_usage_out(request, found), 201 if entered else 200)


@router.get(
    "", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Page[answers.Usage]
)
async def list_usage(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    period: PeriodQuery = None,
    source: Annotated[Source | None, Query(description="only from here")] = None,
    history: Annotated[bool, Query(description="also entries whose place others took")] = False,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Usage by partner, month, source and key, with who entered it."""
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        one = await partner_id_of(connection, partner, within=within) if partner else within
        only = UsageFilter(one, period_from_text(period) if period else None, source, history)
        place = place_from_cursor(after, tuple[UUID, int, str, str, int])
        found = await usage.page(connection, only, after=place, limit=limit)
    following = cursor_from_place(found[-1].place) if len(found) == limit else None
    return json_response({"items": [_usage_out(request, each) for each in found], "next": following})


def _usage_out(request: Request, one: Usage) -> dict[str, Any]:
    return without_names(request, usage_out_from_usage(one), "entered_by")
