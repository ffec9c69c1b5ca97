"""Downloads whose clients stop reading hold no snapshot, stop nobody else, and are cut."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message

from api.app import create_app
from api.side_thread import SideThread
from api.traffic import downloads as downloads_of_api
from api.traffic.answers_in_time import ReadingStopped
from api.traffic.downloads import Downloads
from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.world import action, bill, lead, make_masters

_IN_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'leadger-api' AND state LIKE 'idle in transaction%'
"""


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """With two connections, so that one download could stop all others, and a short patience."""
    app = create_app(settings.model_copy(update={"answer_timeout_s": 1.0, "database_pool_size": 2}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def reading(engine: AsyncEngine) -> AsyncIterator[SideThread]:
    thread = SideThread("reading", engine)
    yield thread
    await thread.close()


class Reader:
    """A client that takes the head of an answer and its first block, and then nothing more."""

    def __init__(self, app: FastAPI, path: str, key: str) -> None:
        self.messages: list[Message] = []
        self.stopped = asyncio.Event()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"authorization", f"Bearer {key}".encode())],
            "server": ("leadger", 80),
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) > 2:
            self.stopped.set()
            await asyncio.Event().wait()


async def test_readers_who_stop_reading_hold_no_snapshot_and_end_nobody_elses_download(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, admin_key: str
) -> None:
    await make_masters(client, cap=None)
    actions = [action(f"Type {number}", at=f"2024-04-01T{number % 24:02d}:00:00Z") for number in range(500)]
    await bill(client, engine, policies, lead("one", *actions))
    report_id = (await client.get("/billing/reports")).json()["items"][0]["report_id"]
    path = f"/billing/reports/{report_id}?format=csv"
    whole = (await client.get(path)).text
    assert whole.count("\naction,") == 500
    readers = [Reader(app, path, admin_key) for _ in range(4)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(reader.stopped.wait() for reader in readers))
    assert (await asyncio.wait_for(client.get(path), 20)).text == whole
    async with transaction(engine, readonly=True) as connection:
        assert await connection.fetchval(_IN_TRANSACTION) == 0
    async with asyncio.timeout(20):
        cut = await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)
    assert [type(each) for each in cut] == [ReadingStopped] * 4
    for reader in readers:  # it does not end as if it were complete
        assert all(message.get("more_body", True) for message in reader.messages[1:])


async def test_a_key_has_a_limited_number_of_downloads_at_a_time(
    app: FastAPI, client: httpx.AsyncClient, admin_key: str
) -> None:
    downloads = app.state.leadger.downloads
    key_id, another = uuid4(), uuid4()
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Barrier(33)

        async def hold() -> None:
            async with downloads.counted(key_id):
                await ready.wait()
                await asyncio.sleep(0.2)

        for _ in range(32):
            group.create_task(hold())
        await ready.wait()
        with pytest.raises(Exception, match="a key may have 32 at a time") as refusal:
            downloads.start(key_id, iter([b""]), "text/csv")
        assert refusal.value.status_code == 429  # type: ignore[attr-defined]
        downloads.start(another, iter([b""]), "text/csv")
    downloads.start(key_id, iter([b""]), "text/csv")


@pytest.mark.parametrize("pause_s", [0.0, 0.002])
async def test_the_text_is_the_same_however_slowly_it_is_taken(
    tmp_path: Path, reading: SideThread, pause_s: float
) -> None:
    async def text() -> AsyncGenerator[str, None]:
        for number in range(300):
            if number % 50 == 0:
                await asyncio.sleep(0.001)
            yield f"{number} ü " * 300

    downloads = Downloads(tmp_path / "home", reading, 1, 10)
    taken = b""
    async for block in downloads.buffered(text()):
        assert len(block) <= 64 * 1024
        taken += block
        await asyncio.sleep(pause_s)
    assert taken.decode() == "".join(f"{number} ü " * 300 for number in range(300))
    assert list((tmp_path / "home").iterdir()) == []


async def test_what_is_left_of_a_disk_is_kept_for_the_database(
    tmp_path: Path, reading: SideThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: readers of the largest exports filled the disk, and no lead was taken any more."""
    free = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**10, free=free[-1]))
    monkeypatch.setattr(downloads_of_api, "BYTES_BETWEEN_LOOKS", 1000)
    downloads, taken = Downloads(tmp_path, reading, 1, 10), []

    async def text() -> AsyncGenerator[str, None]:
        while len(free) < 20:
            yield "x" * 600
            free.append(free[-1] - 10**8)

    async def take() -> None:
        async for block in downloads.buffered(text()):
            taken.append(block)

    with pytest.raises(FileUnavailable, match="nearly full"):
        await take()
    assert (free[-1], len(b"".join(taken))) == (3 * 10**8, 8 * 600)
    with pytest.raises(FileUnavailable, match="nearly full"):
        downloads.start(uuid4(), downloads.buffered(text()), "text/csv")
    downloads.start(uuid4(), iter([b"it is on the disk already"]), "text/csv")


async def test_an_error_in_the_middle_reaches_the_client_after_what_was_made(
    tmp_path: Path, reading: SideThread
) -> None:
    closed = []

    async def text() -> AsyncGenerator[str, None]:
        try:
            yield "first"
            raise ValueError("broken")
        finally:
            closed.append(True)

    taken: list[bytes] = []

    async def take() -> None:
        async for block in Downloads(tmp_path, reading, 1, 10).buffered(text()):
            taken.append(block)

    with pytest.raises(ValueError, match="broken"):
        await take()
    assert (taken, closed) == ([b"first"], [True])
