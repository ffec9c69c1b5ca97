"""A worker in this process, for faults that are done to it statement by statement."""

import random
from dataclasses import dataclass, field
from typing import cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.ledger.policies import Policies
from scripts.dev.chaos.history import History
from scripts.dev.chaos.judgement import Judgement, judge_tables
from scripts.dev.chaos.world import World
from tests.oracle import Oracle
from worker.runtime import Runtime
from worker.tasks import leads


@dataclass
class InProcess:
    """The door, the worker and the database, with a client that remembers what was acknowledged."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    settings: Settings
    policies: Policies
    world: World
    history: History = field(default_factory=History)

    async def post(self, count: int, *, customer: int | None = None) -> None:
        """Have leads accepted."""
        batch = self.world.leads(count, customer=customer)
        answer = await self.client.post("/leads", json=batch)
        assert answer.status_code == 202, answer.text
        self.history.acknowledged(answer.json()["batch_id"], batch)

    async def work(self) -> None:
        """What the worker does when the bell rings."""
        while not await self.take_a_turn():
            pass

    async def take_a_turn(self) -> bool:
        """One turn of the worker; whether nothing waits any more."""
        # A Runtime has a loop of its own, but this one runs already.
        return await leads.empty_inbox(cast(Runtime, self))

    async def judge(self) -> Judgement:
        """What the oracle says about the tables."""
        return await judge_tables(self.settings.database_url, self.world, self.history, Oracle())


@pytest.fixture
async def in_process(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    settings: Settings,
    policies: Policies,
    monkeypatch: pytest.MonkeyPatch,
) -> InProcess:
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)  # no pauses between two tries
    world = World("statements", seed=1)
    for path, body in world.masters():
        answer = await client.post(path, json=body)
        assert answer.is_success, answer.text
    return InProcess(client, engine, settings, policies, world)
