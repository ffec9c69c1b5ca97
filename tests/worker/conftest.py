"""A worker's runtime in the test's own loop."""

import queue
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from db.core.settings import Settings
from db.core.unit_of_work import Message
from tests.logs import capturing_log
from tests.world import World
from worker.runtime import Runtime, create_runtime
from worker.tasks import invariants, leads


@pytest.fixture
def sent() -> "queue.Queue[Message]":
    """The messages that tasks sent; nobody receives them."""
    return queue.Queue()


@pytest.fixture
async def runtime(settings: Settings, sent: "queue.Queue[Message]") -> AsyncIterator[Runtime]:
    runtime = create_runtime(settings, publish=lambda message, request_id: sent.put(message))
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


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, Any]]:
    """The events that tasks log during the test."""
    log, events = capturing_log()
    for module in (invariants, leads):
        monkeypatch.setattr(module, "log", log)
    return events
