"""A refused request is gone when it is answered: the server keeps the connection of one that may still be read."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from api import problems
from api.app import create_app
from api.problems import Problem
from api.state import State
from db.core.settings import Settings
from tests.logs import capturing_log


@pytest.fixture(scope="module")
async def impatient_app(shared_settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(shared_settings.model_copy(update={"body_timeout_s": 0.2, "max_body_bytes": 1_000_000}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class _Connection:
    """One that has sent this much, and then waits, or breaks."""

    def __init__(self, body: bytes, more: bool, breaks: bool = False) -> None:
        self._parts = [body] if body else []
        self._more = more
        self._breaks = breaks

    async def receive(self) -> Message:
        if self._parts:
            return {"type": "http.request", "body": self._parts.pop(), "more_body": self._more}
        if self._breaks:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError


async def _status(app: FastAPI, connection: _Connection, path: str, key: str, length: int) -> int:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    headers = {"host": "x", "content-type": "application/json", "authorization": f"Bearer {key}"}
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "headers": [
            *((name.encode(), value.encode()) for name, value in headers.items()),
            (b"content-length", b"%d" % length),
        ],
    }
    await asyncio.create_task(app(scope, connection.receive, send))
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("path", ["/leads", "/leads?partial=true", "/api/partners"])
@pytest.mark.parametrize(
    ("status", "body", "length"),
    [
        (408, b"", 100),
        (408, b"{", 100),
        (408, b"[" * 300_000, 900_000),
        (400, b"{", 1),
        (400, b"[" * 300_000, 300_000),
        (413, b"[" * 1_100_000, 1_100_000),
        (401, b"", 100),
        (429, b"{}", 2),
        (500, b"[]", 2),
    ],
)
async def test_a_refused_request_is_freed_when_it_is_answered(
    impatient_app: FastAPI,
    shared_key: str,
    no_collector: None,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    status: int,
    body: bytes,
    length: int,
) -> None:
    state: State = impatient_app.state.leadger
    if status in (429, 500):

        def fail(*_: Any, **__: Any) -> None:
            raise Problem(429, "Too many.") if status == 429 else ZeroDivisionError

        monkeypatch.setattr(type(state.limiter), "check", fail)
    connection = _Connection(body, more=len(body) < length)
    freed = weakref.ref(connection)
    key = "wrong" if status == 401 else shared_key
    assert await _status(impatient_app, connection, path, key, length) == status
    del connection
    for _ in range(200):  # the thread that read a large one lets it go a moment after it said what is wrong
        await asyncio.sleep(0.001 if freed() else 0)
    assert freed() is None


@pytest.mark.parametrize("path", ["/leads", "/leads?partial=true", "/leads?dry_run=true", "/api/partners"])
@pytest.mark.parametrize("body", [b"", b"{", b"[" * 300_000])
async def test_an_upload_that_breaks_off_is_told_and_logged_as_the_senders(
    impatient_app: FastAPI, shared_key: str, monkeypatch: pytest.MonkeyPatch, path: str, body: bytes
) -> None:
    """Failed before: 500 with a stack trace."""
    log, logged = capturing_log()
    monkeypatch.setattr(problems, "log", log)
    connection = _Connection(body, more=True, breaks=True)
    assert await _status(impatient_app, connection, path, shared_key, 900_000) == 400
    assert logged == []
    assert impatient_app.state.leadger.body_budget.held_bytes == 0
