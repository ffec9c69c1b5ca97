"""The unit of work: one transaction, and what happens once it is committed.

A route or a task opens it; a use case takes it, changes rows on its connection and says what to send after the commit.
Nothing is sent for a transaction that was rolled back.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import audit
from db.core.actor import SYSTEM, Actor
from db.core.audit import Change, Facts, Origin
from db.core.engine import transaction


@dataclass(frozen=True, slots=True)
class Message:
    """A Celery message that announces work: the name of a task and its arguments."""

    task: str
    arguments: tuple[str, ...] = ()


Publish = Callable[[Message, str], None]
"""Sends a message on behalf of a request id. It does not raise: the sweeper finds work that nobody announced."""


def publish_nothing(message: Message, request_id: str) -> None:
    """The `Publish` of a process that has no broker: the sweeper finds the work."""


class Cache(Protocol):
    """What a process remembers of the database."""

    def clear(self) -> None:
        """Forget everything."""


class UnitOfWork:
    """One transaction on `connection`, asked for by `actor` in the request `request_id`."""

    def __init__(
        self, connection: asyncpg.Connection, actor: Actor, request_id: str, address: str | None = None
    ) -> None:
        self.connection = connection
        self.actor = actor
        self.request_id = request_id
        self._origin = Origin(actor, request_id, address)
        self._messages: dict[Message, None] = {}
        self._after_commit: list[Callable[[], None]] = []

    def notify(self, task: str, *arguments: str) -> None:
        """Send a message after the commit; the same message is sent once."""
        self._messages[Message(task, arguments)] = None

    async def audit(
        self, what: str, subject: object, *, before: Facts | None = None, after: Facts | None = None
    ) -> None:
        """Keep for ever that the actor changed a subject, which is named by its key (P3)."""
        await self.audit_all(what, [(subject, before, after)])

    async def audit_all(self, what: str, changes: Iterable[Change]) -> None:
        """The same of several subjects."""
        await audit.write(self.connection, self._origin, what, changes)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call a function after the commit, before the messages are sent."""
        self._after_commit.append(call)

    def committed(self, publish: Publish) -> None:
        """Do what was to happen after the commit."""
        for call in self._after_commit:
            call()
        for message in self._messages:
            publish(message, self.request_id)


@asynccontextmanager
async def unit_of_work(
    engine: AsyncEngine,
    publish: Publish,
    *,
    actor: Actor = SYSTEM,
    request_id: str = "",
    address: str | None = None,
    caches: Iterable[Cache] = (),
) -> AsyncIterator[UnitOfWork]:
    """A transaction that commits when the block ends; then its messages are sent.

    If the block or the commit raises, the caches are cleared: they may hold what was read or written in vain.
    """
    try:
        async with transaction(engine) as connection:
            work = UnitOfWork(connection, actor, request_id, address)
            yield work
    except BaseException:
        for cache in caches:
            cache.clear()
        raise
    work.committed(publish)
