"""Waiting leads are counted by partner, though rows of the inbox name none."""

from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.intake import waiting_partners
from tests.builders import lead
from tests.world import World

CLICK = ("Click", "High", "2024-04-10T09:00:00Z")


async def counted(world: World, most_leads: int = 100) -> tuple[dict[str, int], int]:
    """The waiting leads of both partners, and those of nobody."""
    async with transaction(world.engine, readonly=True) as connection:
        found = await waiting_partners.count(connection, most_leads)
    names = {partner_uuid(name): name for name in ("acme", "globex")}
    return {names[each]: leads for each, leads in found.of_partners.items()}, found.of_nobody


async def test_waiting_leads_are_told_by_partner_and_the_rest_is_counted_for_nobody(world: World) -> None:
    await world.partner("globex")
    gps = await world.product("gps", "globex")
    assert await counted(world) == ({}, 0)
    await world.send(lead("0", CLICK, customer="ann", product="gps"))
    assert await counted(world) == ({}, 0)

    await world.put(*(lead(str(number), CLICK, customer="ann", product="gps") for number in range(1, 4)))
    assert await counted(world) == ({"globex": 3}, 0)
    await world.put(lead("4", CLICK, customer="bob", product="crm"), lead("5", CLICK, customer="bob", product="no"))
    await world.put(lead("6", CLICK, customer="bob", product=str(gps)))
    assert await counted(world) == ({"globex": 4, "acme": 1}, 1)
    assert await counted(world, most_leads=5) == ({"globex": 3, "acme": 1}, 2)

    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET payload = $1 WHERE lead_count = 3", b'[{"product": "\xff')
    assert await counted(world) == ({"globex": 1, "acme": 1}, 4)
