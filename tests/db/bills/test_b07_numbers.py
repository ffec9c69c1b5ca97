"""B7: numbers of bills that a restored database does not know."""

from sqlalchemy.ext.asyncio import AsyncEngine

from db.bills import numbers
from db.core.engine import transaction
from tests.world import World


async def test_b07_numbers_of_a_partner_whose_first_bill_is_gone_go_on_after_them(
    world: World, engine: AsyncEngine
) -> None:
    """Failed before: the backup did not know the prefix yet, and the next bill was ACME-0001 once more."""
    acme = world.partners["acme"]
    async with transaction(engine) as connection:
        said = await numbers.go_on_after(connection, {("ACME", "bill"): 3, ("NOBODY", "bill"): 2})
        assert said == [
            "ACME-0001 to ACME-0003 may have been given out and are not on record; the next is ACME-0004.",
            "NOBODY-0001 to NOBODY-0002 may have been given out and are not on record; no partner here has their "
            "prefix, so give whoever had them a number_prefix and first_number.",
        ]
        assert await numbers.take(connection, acme, "acme", "bill") == "ACME-0004"
