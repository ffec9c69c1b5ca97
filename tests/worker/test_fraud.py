"""A worker's connections allow only loops over keys, by which a screen of many guilty actions would be quadratic."""

from db.core.engine import transaction
from db.fraud import screening
from tests.world import World
from worker.runtime import Runtime


async def test_m4_a_screen_may_join_its_tables_whole_on_a_connection_for_batches(
    runtime: Runtime, world: World
) -> None:
    async with transaction(runtime.engine) as connection:
        assert await connection.fetchval("SHOW enable_hashjoin") == "off"
        in_force = await runtime.policies.load(connection, [world.partners["acme"]])
        await screening.find(connection, [*in_force.values()], 202404, frozenset())
        assert await connection.fetchval("SHOW enable_hashjoin") == "on"
    async with transaction(runtime.engine) as connection:
        assert await connection.fetchval("SHOW enable_hashjoin") == "off"
