"""A worker's runtime in the test's own loop."""

from collections.abc import AsyncIterator

import pytest

from db.settings import Settings
from tests.world import World
from worker.runtime import Runtime


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    runtime = Runtime(settings)
    yield runtime
    await runtime.engine.dispose()


@pytest.fixture
async def world(runtime: Runtime) -> World:
    """One partner "acme" with one product and two customers."""
    world = World(runtime.engine)
    world.policies = runtime.policies
    await world.partner("acme")
    await world.product("crm", "acme")
    for customer in ("ann", "bob"):
        await world.customer(customer, f"{customer}@example.com")
    return world
