"""Batches that are lost: the next one takes half as many leads, until the lead is alone that no worker survives."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import lead_uuid
from db.core.settings import Settings
from db.intake import claim_limits, dead_letters, decision, worker_batch
from db.intake.arrival import Arrival
from tests.builders import Wire, lead
from tests.world import World

AT = "2024-04-10T09:00:00Z"


class Killed(BaseException):
    """The end of a process; nothing after it runs, and Postgres rolls back what it had begun."""


def numbered(number: int) -> Wire:
    return lead(f"lead {number}", (f"Click {number}", "Low", AT), customer="ann", product="crm")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many leads each batch decided, or tried to. Whoever decides "lead 5" is killed."""
    return failing(monkeypatch, lambda: Killed())


def failing(monkeypatch: pytest.MonkeyPatch, fault: Callable[[], BaseException], lead_id: str = "lead 5") -> list[int]:
    found: list[int] = []
    process, deadly = decision.process, lead_uuid("", lead_id)

    async def die(connection: asyncpg.Connection, policies: Any, arrivals: list[Arrival], *rest: Any) -> Any:
        found.append(len(arrivals))
        if any(arrival.id == deadly for arrival in arrivals):
            raise fault()
        return await process(connection, policies, arrivals, *rest)

    monkeypatch.setattr(decision, "process", die)
    return found


async def nothing(*_: Any) -> None:
    return


async def work(world: World, most_tries: int = 40) -> int:
    """Decide all; how many batches were lost."""
    lost = 0
    while lost < most_tries:
        try:
            if not await worker_batch.process_inbox(world.engine, world.policies, 1000):
                return lost
        except (Killed, *TRANSIENT):
            lost += 1
    raise AssertionError("some leads are never decided")


async def letters(world: World) -> list[dead_letters.DeadLetter]:
    async with transaction(world.engine, readonly=True) as connection:
        return await dead_letters.page(connection, after=0, limit=10)


async def limits(world: World) -> list[tuple[Any, ...]]:
    async with transaction(world.engine, readonly=True) as connection:
        return [tuple(row) for row in await connection.fetch("SELECT lane, most_leads, lost FROM claim_limits")]


@pytest.mark.parametrize("chunk_leads", [1, 16])
async def test_a_lead_that_no_worker_survives_is_a_dead_letter_and_the_rest_is_billed(
    world: World, sizes: list[int], monkeypatch: pytest.MonkeyPatch, chunk_leads: int
) -> None:
    """Failed before: the oldest leads of a partition were claimed as a whole again and again, for ever."""
    monkeypatch.setattr(claim_limits, "note_end", nothing)  # nobody is left to do it
    await world.put(*(numbered(number) for number in range(16)), chunk_leads=chunk_leads)
    for number in range(16):
        if number != 5:
            world.oracle.accept(numbered(number))
    await work(world)
    assert sizes[:3] == [16, 8, 4]
    (letter,) = await letters(world)
    assert letter.lead_id == lead_uuid("", "lead 5")
    assert "was lost or ran out of time, 3 times" in letter.error
    await world.check()


async def test_a_statement_that_takes_too_long_is_halved_and_isolated_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: it counted as a fault of the moment, so the same leads were claimed again for ever."""
    failing(monkeypatch, lambda: asyncpg.QueryCanceledError("canceling statement due to user request"))
    await world.put(*(numbered(number) for number in range(8)))
    await work(world)
    assert [letter.lead_id for letter in await letters(world)] == [lead_uuid("", "lead 5")]


async def test_a_fault_of_the_moment_isolates_nothing_however_often_it_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        sizes = failing(patch, lambda: ConnectionResetError(), "lead 0")
        await world.accept(*(numbered(number) for number in range(8)))
        for _ in range(20):
            with pytest.raises(ConnectionResetError):
                await worker_batch.process_inbox(world.engine, world.policies, 1000)
    assert (sizes[0], set(sizes[1:])) == (8, {4})
    assert await letters(world) == []
    await world.work()
    assert await letters(world) == []
    await world.check()


async def test_a_batch_that_nobody_lost_notes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("nothing was lost")

    monkeypatch.setattr(claim_limits, "noted", never)
    await world.send(*(numbered(number) for number in range(8)))
    await world.send(*(numbered(number) for number in range(12)))
    await world.check()


async def test_the_next_loss_begins_where_the_last_one_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.accept(*(numbered(number) for number in range(40)), chunk_leads=1)
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET lane = 0")
    with monkeypatch.context() as patch:
        sizes = failing(patch, lambda: Killed(), "lead 0")
        patch.setattr(claim_limits, "note_end", nothing)
        for _ in range(3):
            with pytest.raises(Killed):
                await worker_batch.process_inbox(world.engine, world.policies, 40)
    assert sizes == [40, 20, 10]
    await world.work(most_leads=40)
    assert await limits(world) == [(0, 10, 0)]  # 5 leads were decided at last
    await world.check()


_CHILD = """
import asyncio, os, signal, sys
from db.core.engine import create_engine
from db.core.row_keys import lead_uuid
from db.core.settings import Settings
from db.intake import decision, worker_batch
from db.ledger.policies import Policies

process = decision.process

async def die(connection, policies, arrivals, *rest):
    if any(arrival.id == lead_uuid("", "lead 5") for arrival in arrivals):
        os.kill(os.getpid(), signal.SIGKILL)
    return await process(connection, policies, arrivals, *rest)

async def work():
    decision.process = die
    engine = create_engine(Settings(database_url=sys.argv[1], redis_url="redis://127.0.0.1"))
    while await worker_batch.process_inbox(engine, Policies(), 1000):
        pass
    await engine.dispose()

asyncio.run(work())
"""


@pytest.mark.slow
async def test_kill_9_of_each_process_that_decides_a_lead_makes_it_a_dead_letter(
    world: World, settings: Settings
) -> None:
    await world.put(*(numbered(number) for number in range(16)), chunk_leads=4)
    for number in range(16):
        if number != 5:
            world.oracle.accept(numbered(number))
    ended: list[int] = []
    while not ended or ended[-1] != 0:
        assert len(ended) < 20
        command = [sys.executable, "-c", _CHILD, settings.database_url]
        ended.append((await asyncio.to_thread(subprocess.run, command, check=False)).returncode)
    assert set(ended[:-1]) == {-signal.SIGKILL}
    assert [letter.lead_id for letter in await letters(world)] == [lead_uuid("", "lead 5")]
    await world.check()
