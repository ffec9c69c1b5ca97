"""All accounts at once: their ageing, and the ledger as CSV (B9)."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routing import Route
from api.schemas import answers
from api.schemas.account import ageing_out
from api.schemas.fields import Day
from api.state import State, state_of
from api.wire import json_response
from db.account import ageing, ledger
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api", tags=["account"])
_READ = requires(Permission.READ)


@router.get("/ageing", dependencies=[_READ], response_model=answers.Page[answers.Ageing])
async def list_ageing(
    request: Request,
    as_of: Annotated[
        Day | None, Query(description="at the end of this day; default: today, where each partner is")
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """What each partner owes, by how many days it has been due; what is left of credits stands beside."""
    place = place_from_cursor(after, str)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await ageing.page(connection, as_of or datetime.now(UTC), after=place, limit=limit)
    following = cursor_from_place(found[-1].partner) if len(found) == limit else None
    return json_response({"items": [ageing_out(each) for each in found], "next": following})


@router.get("/ledger", dependencies=[_READ], responses={200: {"content": {"text/csv": {}}}}, response_class=Response)
async def get_ledger(request: Request) -> Response:
    """Every entry of every account as CSV; an amount is what the entry adds to the account."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        await ledger.check_readable(connection)  # a file that has begun cannot say 503 any more
    blocks = state.downloads.buffered(_text(state))
    return state.downloads.start(caller_of(request).id, blocks, "text/csv; charset=utf-8", "ledger.csv")


async def _text(state: State) -> AsyncGenerator[str, None]:
    async with transaction(state.engine, readonly=True) as connection:
        async for block in ledger.csv_text(connection):
            yield block
