"""The plan of every statement as Postgres ran it: auto_explain sends it to the client, nested statements included.

What was planned and run is what is judged: the same parameters, the same data, in the same transaction. A statement
inside a trigger comes with its plan too; COPY has none, only its triggers have.
"""

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakSet

import asyncpg
import msgspec

from scripts.dev.bench.servers import Database, Servers

_SETTINGS = {
    "session_preload_libraries": "'auto_explain'",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "auto_explain.log_parameter_max_length": "0",
}
_METHODS = ("execute", "fetch", "fetchrow", "fetchval")
_OURS = tuple(f"{Path(__file__).parents[4] / folder}/" for folder in ("db", "api", "worker"))
_PLAN = "plan:\n"


@dataclass(frozen=True)
class Explained:
    """One statement that was run: where in the product it was asked, its text, and its plan with what came of it."""

    path: str
    text: str
    plan: dict[str, Any]
    taken_ms: float


class Recorder:
    """Hears the plans of all connections of this process while `path` names what is going on."""

    def __init__(self) -> None:
        self.explained: list[Explained] = []
        self.senders: dict[str, str] = {}
        """The function that sent each text."""
        self._path = ""
        self._heard: WeakSet[asyncpg.Connection] = WeakSet()

    @asynccontextmanager
    async def on(self, path: str) -> AsyncIterator[None]:
        """Record what is run in the block."""
        await asyncio.sleep(0)  # what was sent before is recorded first
        self._path = path
        try:
            yield
            await asyncio.sleep(0)
        finally:
            self._path = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear every connection that sends a statement in the block."""
        olds = {name: getattr(asyncpg.Connection, name) for name in _METHODS}
        for name, old in olds.items():
            setattr(asyncpg.Connection, name, self._noting(old))
        try:
            yield
        finally:
            for name, old in olds.items():
                setattr(asyncpg.Connection, name, old)

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def noting(connection: asyncpg.Connection, text: str, *positional: Any, **named: Any) -> Any:
            self.senders.setdefault(text.strip(), _sender())
            if connection not in self._heard:
                self._heard.add(connection)
                connection.add_log_listener(self._hear)
            return await method(connection, text, *positional, **named)

        return noting

    def _hear(self, _: object, message: Any) -> None:
        head, found, content = message.message.partition(_PLAN)
        if found and self._path:
            heard = msgspec.json.decode(content)
            taken_ms = float(head.split()[1])
            self.explained.append(Explained(self._path, heard["Query Text"].strip(), heard["Plan"], taken_ms))


def explain_everything(servers: Servers, database: Database, plan_cache_mode: str) -> None:
    """Have new connections of a database explain what they run, planned for its parameters or for any."""
    settings = _SETTINGS | {"plan_cache_mode": plan_cache_mode}
    servers.execute(*(f"ALTER DATABASE {database.name} SET {name} = {value}" for name, value in settings.items()))


def _sender() -> str:
    """The innermost function of ours that sent a statement, like "db.core.locks.lock_customers"; "" if none did."""
    frame: FrameType | None = sys._getframe(2)
    while frame and not frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}" if frame else ""
