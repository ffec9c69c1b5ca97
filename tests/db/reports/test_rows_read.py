"""No request loads a customer: what explains a lead reads rows in proportion to the lead (design, section 3)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.row_keys import customer_uuid, lead_uuid
from db.core.unit_of_work import UnitOfWork
from db.ledger import corrections, holds
from db.ledger.corrections import Correction
from db.ledger.policies import Policies
from db.reports import explained_actions, leads_on_record, live_report
from tests.builders import lead
from tests.rows_read import rows_read
from tests.world import World, action_id

FEW_MORE = 2
"""By another plan of a small table."""

LAST = "2024-04-29T09:00:00Z"


async def correct(uow: UnitOfWork, policies: Policies, changed: UUID, reason: str) -> None:
    await corrections.correct(uow, policies, changed, Correction(engagement_level="Low"), reason)


CHANGES: dict[str, Callable[[UnitOfWork, Policies, UUID, str], Awaitable[None]]] = {
    "hold": holds.hold,
    "release": holds.release,
    "return": holds.return_action,
    "take back": holds.release,
    "correct": correct,
}


async def send_many(world: World, customer: str, leads: int) -> None:
    """So many leads of ten actions: a few winners use the cap up, the others are capped or duplicates."""
    for first in range(0, leads, 100):
        await world.put(
            *(
                lead(
                    f"{customer}-{number}",
                    *(
                        (f"Type {number % 20}", "High", f"2024-04-{1 + number % 28:02d}T10:{minute:02d}:00Z")
                        for minute in range(10)
                    ),
                    customer=customer,
                    product="crm",
                )
                for number in range(first, min(first + 100, leads))
            ),
            lead(f"{customer}-last", ("Type 1", "High", LAST), ("Last", "Low", LAST), customer=customer, product="crm"),
        )
        await world.work()


async def read_by(world: World, ask: Callable[[asyncpg.Connection, UUID], Awaitable[Any]], row_id: UUID) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return await rows_read(connection, lambda: ask(connection, row_id))


@pytest.mark.parametrize("cap", ["100.00", "100000.00", None])
async def test_explaining_a_lead_reads_no_more_of_a_customer_with_ten_times_the_actions(
    world: World, cap: str | None
) -> None:
    """Failed before: each read all actions of the customer in the month."""
    await world.terms("acme", "2024-04", cap=cap)
    await send_many(world, "ann", 20)
    await send_many(world, "bob", 200)
    of_lead, of_action = {}, {}
    for customer in ("ann", "bob"):
        last = action_id(("", f"{customer}-last", "Last", "Low", LAST, 1))
        of_lead[customer] = await read_by(world, leads_on_record.view, lead_uuid("", f"{customer}-last"))
        of_action[customer] = await read_by(world, explained_actions.action_line, last)
    assert of_lead["bob"] <= of_lead["ann"] + FEW_MORE < 100
    assert of_action["bob"] <= of_action["ann"] + FEW_MORE < 100


@pytest.mark.parametrize("window", ["forever", "period", 3])
@pytest.mark.parametrize("scope", ["period", "lifetime"])
async def test_changing_an_action_reads_no_more_of_a_customer_with_ten_times_the_actions(
    world: World, window: str | int, scope: str
) -> None:
    """Failed before: each judged all open actions of the customer."""
    await world.terms("acme", "2024-04", dedup_window=window, cap_scope=scope)
    await send_many(world, "ann", 20)
    await send_many(world, "bob", 200)
    read: dict[str, dict[str, int]] = {"ann": {}, "bob": {}}
    for customer, found in read.items():
        changed = action_id(("", f"{customer}-0", "Type 0", "High", "2024-04-01T10:00:00Z", 1))
        for name, change in CHANGES.items():
            async with world.unit_of_work() as uow:
                asked = partial(change, uow, world.policies, changed, "because")
                found[name] = await rows_read(uow.connection, asked)
    for name in CHANGES:
        # A window of days has more winners of a key where its actions are of more days.
        assert read["bob"][name] <= read["ann"][name] + 50 < 150, read


async def test_one_of_many_actions_at_one_instant_reads_no_more_of_ten_times_the_actions(world: World) -> None:
    """Failed before: the first winners of the month were read with all that share the last one's instant."""
    read: dict[str, dict[str, int]] = {}
    for customer, leads in (("ann", 10), ("bob", 100)):
        sent = [
            lead(
                f"{customer}-{number}",
                *((f"Type {number}-{step}", "High", LAST) for step in range(10)),
                customer=customer,
                product="crm",
            )
            for number in range(leads)
        ]
        await world.put(*sent)
        await world.work()
        first, capped = [await first_decided(world, customer, outcome) for outcome in ("billed", "capped")]
        found = read.setdefault(customer, {"explain": await read_by(world, explained_actions.action_line, capped)})
        for name, change in CHANGES.items():
            async with world.unit_of_work() as uow:
                found[name] = await rows_read(uow.connection, partial(change, uow, world.policies, first, "because"))
    for name, of_ann in read["ann"].items():
        assert read["bob"][name] <= of_ann + 20 < 150, read


async def first_decided(world: World, customer: str, outcome: str) -> UUID:
    """An action of the first lead of a customer that has one with this outcome."""
    async with transaction(world.engine, readonly=True) as connection:
        first: UUID = await connection.fetchval(
            "SELECT id FROM actions WHERE customer_id = $1 AND outcome = $2 ORDER BY lead_id LIMIT 1",
            customer_uuid(customer),
            outcome,
        )
    return first


async def test_a_page_of_reports_of_all_partners_reads_no_more_of_ten_times_the_partners(world: World) -> None:
    """Failed before: each page read the counters of all partners and periods."""
    read = []
    for partners in (30, 300):
        async with transaction(world.engine) as connection:
            await connection.execute(
                """
                INSERT INTO partners (id, external_id, name, currency, closed_through)
                SELECT gen_random_uuid(), 'p-' || $1::int || '-' || number, 'P', 'EUR', NULL
                FROM generate_series(1, $1::int) AS number
                """,
                partners,
            )
            await connection.execute(
                """
                INSERT INTO product_periods (partner_id, period, product_id, slot, actions, billed)
                SELECT id, 202400 + month, id, 0, 1, 1 FROM partners, generate_series(1, 12) AS month
                WHERE external_id LIKE 'p-' || $1::int || '-%'
                """,
                partners,
            )
        after: tuple[int, UUID] | None = None
        for _ in range(3):
            async with transaction(world.engine, readonly=True) as connection:
                ask = partial(
                    live_report.page,
                    connection,
                    partner_id=None,
                    customer_id=None,
                    first=202401,
                    last=202412,
                    after=after,
                    limit=20,
                )
                read.append(await rows_read(connection, ask))
                places = [(period, partner_id) for partner_id, period in await ask()]
            assert places == sorted(places, reverse=True)
            assert len(set(places)) == 20
            assert after is None or places[0] < after
            after = places[-1]
    assert max(read) <= 25, read
