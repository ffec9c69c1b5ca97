"""Statements of accounts: what was booked from one day to another (B9)."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.account import statement_out
from api.schemas.fields import Day, IdPath
from api.state import state_of
from api.wire import json_response
from db.account import booking, statements
from db.core.engine import transaction
from db.masters import partners

router = APIRouter(route_class=Route, prefix="/api/partners/{partner:path}/statement", tags=["account"])


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Statement)
async def get_statement(
    request: Request,
    partner: IdPath,
    start: Annotated[Day | None, Query(alias="from", description="the first day; default: since the beginning")] = None,
    end: Annotated[Day | None, Query(alias="to", description="the last day, included; default: today")] = None,
) -> Response:
    """What was booked on the days from `from` to `to`: opening + entries = closing, and the past never changes."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner, within=own_partner(request))
        last = end or await booking.booking_day(connection, partner_id, datetime.now(UTC))
        first = start or date.min
        if first > last:
            raise Problem(400, "`from` must not be after `to`.", [FieldError("query:from", "is after `to`")])
        found = await partners.read(connection, partner_id)
        assert found is not None
        content = statement_out(found, start, last, await statements.read(connection, partner_id, first, last))
    return json_response(content)
