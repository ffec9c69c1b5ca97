"""The lines of a report come in pieces of bounded size, however many actions one customer has."""

import pytest

from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.reports import explained_actions, report_lines
from tests.builders import lead
from tests.world import World

AT_ONCE = 7
SAME = 3
"""Actions of one lead at one instant, which only their texts order."""


async def in_pieces(world: World, period: int) -> list[list[explained_actions.Line]]:
    async with transaction(world.engine, readonly=True) as connection:
        pieces = explained_actions.lines_of_customers(
            connection, world.partners["acme"], period, sorted(map(customer_uuid, ("ann", "bob")))
        )
        return [piece async for piece in pieces]


@pytest.mark.parametrize("scope", ["period", "lifetime"])
async def test_a_customer_of_any_size_is_explained_in_pieces_as_it_is_whole(
    world: World, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    """Failed before: all actions of a customer were read at once."""
    await world.terms("acme", "2024-04", cap="180.00", cap_scope=scope)
    for month in ("2024-04", "2024-05"):
        await world.send(
            *(
                lead(
                    f"{customer} {month} {number}",
                    *((f"{kind} {number % 9}", "Medium", f"{month}-{1 + number % 6:02d}T10:00:00Z") for kind in "CAB"),
                    customer=customer,
                    product="crm",
                )
                for customer in ("ann", "bob")
                for number in range(20)
            )
        )
    for period in (202404, 202405):
        (whole,) = await in_pieces(world, period)
        monkeypatch.setattr(explained_actions, "ACTIONS_AT_ONCE", AT_ONCE)
        pieces = await in_pieces(world, period)
        async with transaction(world.engine, readonly=True) as connection:
            streamed = [line async for line in report_lines.lines(connection, world.partners["acme"], period)]
        monkeypatch.undo()
        assert len(whole) == 2 * 20 * SAME
        assert max(map(len, pieces)) < AT_ONCE + SAME
        lines = [line for piece in pieces for line in piece]
        assert [*map(repr, lines)] == [*map(repr, whole)] == [*map(repr, streamed)]


async def test_what_happened_after_an_instant_is_left_out(world: World) -> None:
    clicks = ((f"Click {day}", "Low", f"2024-04-{day:02d}T10:00:00Z") for day in range(1, 10))
    await world.send(lead("nine", *clicks, customer="ann", product="crm"))
    month, ann = (world.partners["acme"], 202404), customer_uuid("ann")
    read = []
    async with transaction(world.engine, readonly=True) as connection:
        for number in (4, 9, 10):
            until = await explained_actions.instant_of_nth(connection, *month, ann, number)
            pieces = explained_actions.lines_of_customers(connection, *month, [ann], until=until)
            read.append(sum([len(piece) async for piece in pieces]))
    assert read == [4, 9, 9]
