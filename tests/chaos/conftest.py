"""A worker in this process, for faults that are done to it statement by statement."""

import random
from dataclasses import dataclass, field
from typing import cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.intake.partitions import PartitionStarts
from db.ledger.policies import Policies
from scripts.dev.chaos.history import History
from scripts.dev.chaos.judgement import Judgement, judge_tables
from scripts.dev.chaos.world import World
from tests.oracle import Oracle
from worker.runtime import Runtime
from worker.tasks import leads


@dataclass
class InProcess:
    """The API, a worker and the database, with a client that records what was acknowledged."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    settings: Settings
    policies: Policies
    world: World
    history: History = field(default_factory=History)
    starts: PartitionStarts = field(default_factory=PartitionStarts)

    async def post(self, count: int, *, customer: int | None = None) -> None:
        """Have leads accepted."""
        batch = self.world.leads(count, customer=customer)
        answer = await self.client.post("/leads", json=batch)
        assert answer.status_code == 202, answer.text
        self.history.acknowledged(answer.json()["batch_id"], batch)

    async def work(self) -> None:
        """Decide all that waits, as the worker does when it is notified."""
        while not await self.work_one_time_slice():
            pass

    async def work_one_time_slice(self) -> bool:
        """One time slice of the worker; whether nothing waits any more."""
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
