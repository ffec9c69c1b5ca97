"""A page of leads reads about as much as it shows, or looks through so many and says where to go on: never all."""

from datetime import datetime
from itertools import product
from uuid import UUID

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.row_keys import customer_uuid, partner_uuid, product_uuid
from db.reports import leads_on_record, report_customers
from db.reports.leads_on_record import LeadFilter, LeadOrder, LeadPage
from db.reports.report_customers import CustomerTotals
from tests.rows_read import rows_read
from tests.world import World

ACME, CRM, ANN = partner_uuid("acme"), product_uuid("crm"), customer_uuid("ann")
GLOBEX, GADGET, BOB = partner_uuid("globex"), product_uuid("gadget"), customer_uuid("bob")
SEARCHED = 100
EXACT_DAY = datetime.fromisoformat("2024-01-01T00:00:00Z")

FILTERS = {
    "partner": LeadFilter(partner_id=ACME),
    "customer": LeadFilter(customer_id=ANN),
    "product": LeadFilter(product_id=CRM),
    "customer and partner": LeadFilter(customer_id=ANN, partner_id=ACME),
    "end": LeadFilter(end=EXACT_DAY.replace(month=1, day=2)),
}
"""Each finds the three old leads."""

WITHOUT_INDEX = {
    "type": LeadFilter(lead_type="Referral"),
    "outcome": LeadFilter(outcome="returned"),
    "product": LeadFilter(partner_id=ACME, product_id=GADGET),
    "source": LeadFilter(source="ads"),
    "action type": LeadFilter(action_type="Click"),
}
MODES = ("force_custom_plan", "force_generic_plan")


@pytest.fixture(autouse=True)
def few_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leads_on_record, "MOST_LEADS_SEARCHED", SEARCHED)


async def store(connection: asyncpg.Connection, first: int, last: int, *owner: UUID, at: str) -> None:
    """Leads without actions of a partner, product and customer, a second apart."""
    await connection.execute(
        """
        INSERT INTO leads SELECT md5('lead ' || n)::uuid, '', 'lead-' || n, $3, $4, $5,
            CASE n % 2 WHEN 0 THEN 'Straße' ELSE 'STRASSE' END, $6::timestamptz + n * interval '1 s', now()
        FROM generate_series($1::int, $2::int) AS n
        """,
        first,
        last,
        *owner,
        datetime.fromisoformat(at),
    )


@pytest.fixture
async def stored(world: World) -> World:
    """Three old leads of Acme, and 3,000 newer ones of Globex."""
    await world.partner("globex")
    await world.product("gadget", "globex")
    async with transaction(world.engine) as connection:
        await store(connection, 1, 3, ACME, CRM, ANN, at="2024-01-01T00:00:00Z")
        await store(connection, 4, 3003, GLOBEX, GADGET, BOB, at="2024-03-01T00:00:00Z")
        await connection.execute("ANALYZE")
    return world


async def read(
    world: World,
    only: LeadFilter,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
    mode: str = "auto",
    newest_by: LeadOrder = LeadOrder.CREATED,
) -> tuple[LeadPage, int]:
    """A page, and how many rows were read for it."""
    pages: list[LeadPage] = []

    async def ask() -> None:
        found = await leads_on_record.page(connection, only, before=before, limit=limit, newest_by=newest_by)
        pages.append(found)

    async with transaction(world.engine, readonly=True) as connection:
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        count = await rows_read(connection, ask)
    return pages[0], count


def ids(page: LeadPage) -> list[str]:
    return [lead.external_id for lead, *_ in page.leads]


async def test_old_leads_are_found_without_reading_newer_ones_of_others(
    stored: World, subtests: pytest.Subtests
) -> None:
    """Failed before: the index of all leads by time was read from its newest end."""
    for name, mode in product(FILTERS, MODES):
        with subtests.test(name, mode=mode):
            page, count = await read(stored, FILTERS[name], mode=mode)
            assert (ids(page), page.next) == (["lead-3", "lead-2", "lead-1"], None)
            assert count < 30


async def test_what_has_no_index_looks_through_so_many_leads_and_says_where_to_go_on(
    stored: World, subtests: pytest.Subtests
) -> None:
    for (name, only), mode in product(WITHOUT_INDEX.items(), MODES):
        with subtests.test(name, mode=mode):
            page, count = await read(stored, only, mode=mode)
            assert page.leads == []
            assert count <= 3 * SEARCHED + 30  # the spellings, the search, the place where it ended
            if only.product_id:
                assert page.next is None, "Acme has three leads"
            else:
                assert page.next is not None
                following, count = await read(stored, only, before=page.next, mode=mode)
                assert following.next is not None
                assert following.next < page.next
                assert count <= 3 * SEARCHED + 30


@pytest.mark.parametrize("name", ["partner", "customer"])
async def test_many_old_leads_are_found_without_reading_newer_ones_of_others(stored: World, name: str) -> None:
    """Where one lead in three is of the partner, any index promises fifty soon: the bench saw the wrong one chosen."""
    async with transaction(stored.engine) as connection:
        await store(connection, 4001, 5500, ACME, CRM, ANN, at="2024-01-01T00:00:00Z")
        await connection.execute("ANALYZE leads")
    page, count = await read(stored, FILTERS[name])
    assert (ids(page)[0], len(page.leads)) == ("lead-5500", 50)
    assert count < 300


async def test_a_deep_page_reads_no_more_than_the_first(stored: World) -> None:
    only = LeadFilter(partner_id=GLOBEX, end=datetime.fromisoformat("2025-01-01T00:00:00Z"))
    first, of_first = await read(stored, only)
    deep = (datetime.fromisoformat("2024-03-01T00:01:00Z"), UUID(int=0))
    last, of_last = await read(stored, only, before=deep)
    assert (ids(first)[0], ids(last)[-1], len(last.leads)) == ("lead-3003", "lead-10", 50)
    assert of_last <= of_first + 2


async def test_dates_are_half_open(stored: World) -> None:
    start, end = EXACT_DAY.replace(second=2), EXACT_DAY.replace(second=3)
    page, _ = await read(stored, LeadFilter(start=start, end=end))
    assert (ids(page), page.next) == (["lead-2"], None)


async def test_pages_of_every_spelling_of_a_type_hold_each_lead_once(stored: World) -> None:
    found: list[str] = []
    before = None
    while True:
        page, _ = await read(stored, LeadFilter(partner_id=GLOBEX, lead_type="strasse"), limit=30, before=before)
        found += ids(page)
        if page.next is None:
            break
        before = page.next
    assert found == [f"lead-{number}" for number in range(3003, 3, -1)]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_page_of_a_report_begins_where_the_one_before_ended(world: World, mode: str) -> None:
    """Failed before: a plan for any page read the customers from the first one on."""
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            WITH many AS (
                INSERT INTO customers (id, external_id, name, email)
                SELECT md5(n::text)::uuid, n, 'Name', n || '@example.com' FROM generate_series(1, 3000) AS n
                RETURNING id
            ) INSERT INTO customer_periods
                (partner_id, customer_id, period, actions, capped, last_occurred_at, policy_version)
            SELECT $1, id, 202404, 1, 1, now(), 1 FROM many
            """,
            ACME,
        )
    async with transaction(world.engine) as connection:
        await connection.execute("ANALYZE customer_periods, customers")
    read_of: list[int] = []
    async with transaction(world.engine, readonly=True) as connection:
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        listed = await connection.fetch("SELECT customer_id FROM customer_periods ORDER BY customer_id")
        every = [row["customer_id"] for row in listed]
        for after in (None, every[2899]):
            shown: list[CustomerTotals] = []

            async def ask(after: UUID | None = after, shown: list[CustomerTotals] = shown) -> None:
                shown += await report_customers.page(connection, ACME, 202404, after=after, limit=50)

            read_of.append(await rows_read(connection, ask))
            begins = 2900 if after else 0
            assert [each.customer_id for each in shown] == every[begins : begins + 50]
        only: list[CustomerTotals] = []

        async def ask_for_one() -> None:
            only.extend(await report_customers.page(connection, ACME, 202404, only=every[1500], limit=101))

        read_of.append(await rows_read(connection, ask_for_one))
        assert [each.customer_id for each in only] == [every[1500]]
    assert read_of[0] <= 110
    assert read_of[1] <= read_of[0]
    assert read_of[2] <= 4


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_the_latest_received_of_all_are_found_without_reading_the_others(stored: World, mode: str) -> None:
    async with transaction(stored.engine) as connection:
        await connection.execute("UPDATE leads SET received_at = now() + interval '1 day' WHERE customer_id = $1", ANN)
        await connection.execute("ANALYZE leads")
    page, count = await read(stored, LeadFilter(), limit=3, mode=mode, newest_by=LeadOrder.RECEIVED)
    assert sorted(ids(page)) == ["lead-1", "lead-2", "lead-3"]
    assert count < 30
    older, count = await read(stored, LeadFilter(), 3, page.next, mode, LeadOrder.RECEIVED)
    assert (len(older.leads), count < 30) == (3, True)
