"""Lists of bills in each order: the pages of one, put together, are the whole list, whatever is equal in it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.callers import Caller
from billing.roles import Role
from db.bills import records
from db.bills.filters import SHOWN_STATES, BillFilter
from db.bills.orders import BillOrder
from db.bills.records import BillHead
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from tests.db.bills.stored import Stored, put_bills
from tests.db.conftest import Examples
from tests.rows_read import rows_read

_DAY, _START = date(2024, 5, 1), datetime(2024, 4, 1, tzinfo=UTC)
_FILTERS = {
    "all": BillFilter(),
    "drafts": BillFilter(state="draft"),
    "issued": BillFilter(state="issued", is_note=False),
    "paid": BillFilter(state="paid"),
    "notes": BillFilter(is_note=True),
    "a month": BillFilter(period=190101),
    "a partner": BillFilter(partner_id=partner_uuid("partner-0")),
    "overdue": BillFilter(overdue_at=datetime(2024, 5, 3, tzinfo=UTC)),
    "overage": BillFilter(with_overage=True),
    "waiting": BillFilter(waiting_for=Caller("user", uuid4(), Role.ADMIN)),
}
_BILL = st.builds(
    Stored,
    state=st.sampled_from([str(state) for state in SHOWN_STATES]),
    is_note=st.booleans(),
    gross_minor=st.integers(-1, 2),
    rest_minor=st.integers(0, 2),
    created_at=st.sampled_from([_START, _START + timedelta(days=1)]),
    due_on=st.sampled_from([_DAY, _DAY + timedelta(days=1)]),
    has_overage=st.booleans(),
)


@given(bills=st.lists(_BILL, min_size=5, max_size=40), limit=st.integers(1, 7), order=st.sampled_from(BillOrder))
def test_the_pages_of_a_list_of_bills_are_the_whole_list_in_its_order(
    examples: Examples, bills: list[Stored], limit: int, order: BillOrder
) -> None:
    examples.run(_all_lists_are_whole(examples.engine, bills, limit, order))


async def _all_lists_are_whole(engine: AsyncEngine, bills: list[Stored], limit: int, order: BillOrder) -> None:
    async with transaction(engine) as connection:
        undone = connection.transaction()
        await undone.start()
        await put_bills(connection, bills)
        for name, only in _FILTERS.items():
            listed = await records.page(connection, only, before=None, limit=100)
            wanted = sorted(listed, key=lambda head: _key(order, head), reverse=order.startswith("-"))
            assert await _paged(connection, only, order, limit) == [head.id for head in wanted], name
        await undone.rollback()


def _key(order: BillOrder, head: BillHead) -> tuple[Any, ...]:
    match order.column:
        case "created":
            return head.created_at, head.id
        case "due":
            return head.due_on is None, head.due_on or _DAY, head.id
        case "gross":
            return head.totals.net_minor + head.totals.tax_minor, head.id
    return head.open_minor, _START if head.open_minor else head.created_at, head.id


async def _paged(connection: asyncpg.Connection, only: BillFilter, order: BillOrder, limit: int) -> list[UUID]:
    """All ids; no page but the last is shorter than the limit."""
    found: list[BillHead] = []
    while True:
        before = records.place_of(order, found[-1]) if found else None
        page = await records.page(connection, only, before=before, limit=limit, order=order)
        found += page
        if len(page) < limit:
            return [head.id for head in found]


@pytest.mark.parametrize("order", BillOrder)
async def test_a_page_of_bills_reads_no_more_of_ten_times_the_bills(engine: AsyncEngine, order: BillOrder) -> None:
    """However they are sorted, and although many are equal in it."""
    read = []

    async def ask(connection: asyncpg.Connection) -> None:
        for only in (BillFilter(), BillFilter(state="draft"), BillFilter(state="issued"), BillFilter(state="paid")):
            place = None
            for _ in range(2):
                listed = await records.page(connection, only, before=place, limit=10, order=order)
                assert len(listed) == 10
                place = records.place_of(order, listed[-1])

    async with transaction(engine) as connection:
        kinds = [Stored("draft"), Stored("issued"), Stored("paid", rest_minor=0)]
        for many in (100, 1_000):
            days = [_START + timedelta(many + day) for day in range(many)]
            await put_bills(connection, [replace(each, created_at=day) for each in kinds for day in days])
            await connection.execute("ANALYZE bills, account_rests, account_entries")
            read.append(await rows_read(connection, partial(ask, connection)))
    assert read[1] < read[0] * 2, read
