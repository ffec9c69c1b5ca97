"""What the database tests share."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import create_engine
from db.core.settings import Settings
from tests.world import World


class Examples:
    """One loop and one engine for all examples of a property, which Hypothesis may end in the middle of a coroutine."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner()
        self.engine: AsyncEngine = create_engine(settings, "leadger-test", pool_size=16)

    def run(self, example: Coroutine[Any, Any, None]) -> None:
        self._runner.run(example)

    def close(self) -> None:
        self._runner.run(self.engine.dispose())
        self._runner.close()


@pytest.fixture
def examples(settings: Settings) -> Iterator[Examples]:
    examples = Examples(settings)
    yield examples
    examples.close()


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """One partner "acme" with the default terms, two products and two customers."""
    world = World(engine)
    await world.partner("acme")
    for product in ("crm", "erp"):
        await world.product(product, "acme")
    for customer in ("ann", "bob"):
        await world.customer(customer, f"{customer}@example.com")
    return world
