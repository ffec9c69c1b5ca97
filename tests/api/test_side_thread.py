"""The thread beside the requests: a long computation in it keeps no request waiting."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.side_thread import SideThread
from db.core.engine import create_engine, transaction
from db.core.settings import Settings

_asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


@pytest.fixture
async def thread(settings: Settings) -> AsyncIterator[SideThread]:
    thread = SideThread("beside", lambda: create_engine(settings, "leadger-test", 1))
    yield thread
    await thread.close()
    assert "beside" not in {each.name for each in threading.enumerate()}


async def test_it_computes_while_the_event_loop_goes_on(thread: SideThread) -> None:
    goes_on = threading.Event()

    async def until_the_loop_went_on(_: AsyncEngine) -> bool:
        return goes_on.wait(10)  # it would wait in vain on the loop that sets the event

    running = asyncio.create_task(thread.run(until_the_loop_went_on))
    await asyncio.sleep(0.01)
    goes_on.set()
    assert await running


async def test_it_has_connections_of_its_own_and_the_context_of_who_asks(thread: SideThread) -> None:
    async def ask(engine: AsyncEngine) -> tuple[str, int, str]:
        async with transaction(engine, readonly=True) as connection:
            return threading.current_thread().name, await connection.fetchval("SELECT 1"), _asked_by.get()

    _asked_by.set("me")
    assert await thread.run(ask) == ("beside", 1, "me")


async def test_what_it_raises_is_raised_and_what_is_cancelled_ends(thread: SideThread) -> None:
    ended = threading.Event()

    async def fail(_: AsyncEngine) -> None:
        raise LookupError("none")

    async def wait(_: AsyncEngine) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(LookupError):
        await thread.run(fail)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(thread.run(wait), 0.1)
    started = time.monotonic()
    assert await asyncio.to_thread(ended.wait, 5)
    assert time.monotonic() - started < 5
