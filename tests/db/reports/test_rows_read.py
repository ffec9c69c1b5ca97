"""No request loads a customer: what explains a lead reads rows in proportion to the lead (design, section 3)."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.row_keys import lead_uuid
from db.reports import explained_actions, leads_on_record
from tests.builders import lead
from tests.rows_read import rows_read
from tests.world import World, action_id

FEW_MORE = 2
"""By another plan of a small table."""

LAST = "2024-04-29T09:00:00Z"


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
