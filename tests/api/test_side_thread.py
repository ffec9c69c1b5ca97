"""The thread beside the requests: a long computation in it keeps no request waiting."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.side_thread import SideThread
from db.core.engine import create_engine, transaction
from db.core.settings import Settings
from tests.api.world import accept, lead, make_masters

_asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


@pytest.fixture
async def thread(settings: Settings) -> AsyncIterator[SideThread]:
    thread = SideThread("beside", create_engine(settings, "leadger-test", 1))
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


@pytest.mark.parametrize(
    "path", ["/leads/lead-1", "/leads", "/leads/batches", "/billing/reports", "/api/customers/ann"]
)
async def test_making_an_answer_keeps_no_lead_waiting(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Failed before: it was made on the event loop that accepts leads."""
    accepted, asked = threading.Event(), threading.Event()

    @asynccontextmanager
    async def hold_the_thread(*_: Any, **__: Any) -> AsyncIterator[None]:
        asked.set()
        assert accepted.wait(10)  # it would wait in vain on the loop that accepts
        raise ConnectionError("enough")
        yield

    await make_masters(client)
    for room in ("leads", "reports", "customers"):
        monkeypatch.setattr(f"api.routes.{room}.transaction", hold_the_thread)
    reader = asyncio.create_task(client.get(path))
    assert await asyncio.to_thread(asked.wait, 10)
    assert (await client.get("/health")).status_code == 200
    await accept(client, lead("beside"))
    accepted.set()
    assert (await reader).status_code == 503


async def test_a_cancelled_call_has_ended_when_it_is_told(thread: SideThread) -> None:
    ended: list[str] = []

    async def end_slowly(_: AsyncEngine) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.append("ended")

    for pause_s in (0, 0.02):  # also before it began
        running = asyncio.create_task(thread.run(end_slowly))
        await asyncio.sleep(pause_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert ended == ["ended"] * len(ended)
    assert ended
