"""Group commit: requests that arrive while one commit is under way share the next one (R2)."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import autocommit
from db.core.errors import CANNOT_WRITE
from db.intake import inbox
from db.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_MOST_LEADS_PER_COMMIT = 20_000
_RECENT_S = 5.0

_Waiting = tuple[inbox.Accepted, asyncio.Future[None], "Span | None"]


class InboxWriter:
    """Writes accepted requests durably. `after_commit` is called once per commit, to notify the workers."""

    def __init__(self, engine: AsyncEngine, after_commit: Callable[[str], None]) -> None:
        self._engine = engine
        self._after_commit = after_commit
        self._waiting: list[_Waiting] = []
        self._flusher: asyncio.Task[None] | None = None
        self._refused_write: Exception | None = None
        self._refused_at = 0.0

    def refused_write(self) -> Exception | None:
        """Why the server could not write the last commit, if that was a moment ago; then it is worth another try."""
        return self._refused_write if time.monotonic() - self._refused_at < _RECENT_S else None

    async def write(self, request: inbox.Accepted) -> None:
        """Return when the request is committed; raises what the commit raised, and then nothing was accepted."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        span = tracing.current_span()
        if span:
            span.set_attributes({"leadger.batch_id": str(request.batch_id), "leadger.leads": len(request.leads)})
        self._waiting.append((request, committed, span))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await committed

    async def _flush(self) -> None:
        """Commit until nothing waits, on one connection as long as nothing fails.

        `inbox.add` sends one statement, which is a transaction by itself; BEGIN and COMMIT would be two more
        round trips that every waiting request pays for.
        """
        while group := self._next_group():
            try:
                async with autocommit(self._engine) as connection:
                    while group:
                        with tracing.span("inbox.commit", origins=(span for *_, span in group)):
                            await inbox.add(connection, [request for request, *_ in group])
                            self._acknowledge(group)
                        group = self._next_group()
            except Exception as error:
                if isinstance(error, CANNOT_WRITE):
                    self._refused_write, self._refused_at = error, time.monotonic()
                for _, committed, _ in group:
                    if not committed.done():
                        committed.set_exception(error)

    def _acknowledge(self, group: list[_Waiting]) -> None:
        """Tell the requests of a group that they are committed."""
        for _, committed, _ in group:
            if not committed.done():
                committed.set_result(None)
        self._refused_write = None
        self._after_commit(group[0][0].request_id)

    def _next_group(self) -> list[_Waiting]:
        """Take the waiting requests, oldest first, up to _MOST_LEADS_PER_COMMIT leads."""
        leads = requests = 0
        for request, *_ in self._waiting:
            leads += len(request.leads)
            requests += 1
            if leads >= _MOST_LEADS_PER_COMMIT:
                break
        group, self._waiting = self._waiting[:requests], self._waiting[requests:]
        return group
