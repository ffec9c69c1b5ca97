"""Tasks of which a caller or a partner has only some at a time: exactly so many, also of those asked for together."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import TooManyWaiting
from billing.reconciliation import By, PartnersList
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import Message, UnitOfWork, unit_of_work
from db.reports import reconciliation
from db.tasks import records, waiting

Start = Callable[[UnitOfWork, UUID], Awaitable[UUID]]


def what_if(uow: UnitOfWork, caller_id: UUID) -> Awaitable[UUID]:
    assert uow.actor.id == caller_id
    return waiting.start(uow, "what_if", "what-ifs", {})


def comparison(uow: UnitOfWork, partner_id: UUID) -> Awaitable[UUID]:
    return reconciliation.start(uow, partner_id, 202404, PartnersList(By.LEAD, []))


def publish(message: Message, request_id: str) -> None:
    """Nobody runs the tasks."""


async def asked(engine: AsyncEngine, start: Start, whose_id: UUID) -> UUID:
    async with unit_of_work(engine, publish, actor=Actor(ActorKind.USER, whose_id, "Ann")) as uow:
        return await start(uow, whose_id)


async def until_locked(connection: asyncpg.Connection, other: asyncio.Task[UUID]) -> None:
    locked = """
        SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
    """
    while not other.done() and not await connection.fetchval(locked):  # noqa: ASYNC110 - Postgres sends no event
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("start", "refusal"),
    [
        (what_if, "5 what-ifs of yours have not ended; ask for this one after them."),
        (comparison, "5 lists of this partner wait to be compared; send another one after them."),
    ],
    ids=["what-ifs", "lists"],
)
async def test_two_requests_at_once_do_not_both_take_the_last_place(
    engine: AsyncEngine, start: Start, refusal: str
) -> None:
    """Failed before: each counted what was committed and itself, so both were accepted."""
    ann, bob = uuid4(), uuid4()
    for _ in range(4):
        last = await asked(engine, start, ann)
    async with unit_of_work(engine, publish, actor=Actor(ActorKind.USER, ann, "Ann")) as first:
        await start(first, ann)
        second = asyncio.create_task(asked(engine, start, ann))
        await asked(engine, start, bob)  # does not wait for Ann's
        async with transaction(engine) as looking:
            await until_locked(looking, second)
    with pytest.raises(TooManyWaiting) as refused:
        await second
    assert str(refused.value) == refusal
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM tasks") == 6
        await records.finish(connection, last, {})
    await asked(engine, start, ann)
