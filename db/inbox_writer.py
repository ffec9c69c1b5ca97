"""Group commit at the door: requests that arrive while one commit is under way share the next one (R2)."""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from db import inbox
from db.engine import transaction

_MOST_LEADS_PER_COMMIT = 20_000


class InboxWriter:
    """Writes accepted requests durably. `after_commit` is called once per commit, to ring the doorbell."""

    def __init__(self, engine: AsyncEngine, after_commit: Callable[[str], None]) -> None:
        self._engine = engine
        self._after_commit = after_commit
        self._waiting: list[tuple[inbox.Accepted, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def write(self, request: inbox.Accepted) -> None:
        """Return when the request is committed; raises what the commit raised, and then nothing was accepted."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, committed))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await committed

    async def _flush(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                async with transaction(self._engine) as connection:
                    await inbox.add(connection, [request for request, _ in group])
            except Exception as error:
                for _, committed in group:
                    if not committed.done():
                        committed.set_exception(error)
                continue
            for _, committed in group:
                if not committed.done():
                    committed.set_result(None)
            self._after_commit(group[0][0].request_id)

    def _take(self) -> list[tuple[inbox.Accepted, asyncio.Future[None]]]:
        leads = taken = 0
        for request, _ in self._waiting:
            leads += len(request.leads)
            taken += 1
            if leads >= _MOST_LEADS_PER_COMMIT:
                break
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group
