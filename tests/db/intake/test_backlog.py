"""What waits: counted cheaply, and aged fairly."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.actor import SYSTEM
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.intake import backlog, dead_letters, inbox
from db.tasks import pauses
from tests.asked import asked_by

_ROW = """
    INSERT INTO inbox (batch_id, part, request_id, received_at, lead_count, lead_ids, payload, done_at, result)
    SELECT gen_random_uuid(), $2::int, 'test', clock_timestamp() - make_interval(secs => $3), 7, '{}', '[]',
           CASE WHEN $4 THEN clock_timestamp() END, CASE WHEN $4 THEN '{}'::jsonb END
    FROM generate_series(1, $1::int)
"""


async def add(
    connection: asyncpg.Connection, rows: int, *, age_s: float = 0, part: int = 0, done: bool = False
) -> None:
    await connection.execute(_ROW, rows, part, age_s, done)


async def test_leads_are_counted_as_far_as_the_limit_reaches(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        assert await backlog.leads(connection, 100) == 0
        await add(connection, 5)
        await add(connection, 3, done=True)
        assert await backlog.leads(connection, 100) == 35
        assert await backlog.leads(connection, 3) == 21
        assert await backlog.leads(connection, 0) == 0


async def test_both_figures_come_from_the_index_of_what_waits(engine: AsyncEngine) -> None:
    """However much is done, only what waits is read."""
    async with transaction(engine) as connection:
        await add(connection, 30_000, done=True)
        await add(connection, 50, age_s=10)
        await add(connection, 30_000, done=True)
        await connection.execute("ANALYZE inbox")
        await connection.execute("LOAD 'auto_explain'")
        await connection.execute(
            "SET LOCAL auto_explain.log_min_duration = 0; SET LOCAL auto_explain.log_level = notice"
        )
        plans: list[str] = []
        connection.add_log_listener(lambda _, message: plans.append(str(message)))
        assert await backlog.leads(connection, 1_000_000) == 350
        assert 10 <= await backlog.waited_s(connection) < 20
        await asyncio.sleep(0)
    plans = [plan for plan in plans if "inbox" in plan]  # the driver asks for the types of arrays once
    assert len(plans) == 2
    for plan in plans:
        assert "ix_inbox_waiting_in_lane" in plan
        assert "Seq Scan on inbox" not in plan


async def test_the_oldest_counts_and_leads_out_of_the_dead_letters_do_not(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        assert await backlog.waited_s(connection) == 0
        await add(connection, 1, age_s=5000, done=True)
        await add(connection, 1, age_s=86_400, part=inbox.RETRIED_PART)
        assert await backlog.waited_s(connection) == 0
        await add(connection, 1, age_s=90)
        await add(connection, 1, age_s=1)
        assert await backlog.waited_s(connection) == pytest.approx(90, abs=5)
        await connection.execute("UPDATE inbox SET received_at = received_at + interval '1 day'")
        assert await backlog.waited_s(connection) == 0  # a clock that went ahead


async def test_a_retried_dead_letter_makes_the_inbox_no_older(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, received_at, lead_id, payload, error)
            VALUES (1, gen_random_uuid(), clock_timestamp() - interval '9 days', gen_random_uuid(), '{}', 'x')
            """
        )
        assert (await dead_letters.retry(UnitOfWork(connection, SYSTEM, ""), None)).retried == 1
        assert await dead_letters.page(connection, after=0, limit=1) == []
        assert (await backlog.leads(connection, 10), await backlog.waited_s(connection)) == (1, 0)


async def test_a_pause_does_not_count_as_waiting(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await add(connection, 1, age_s=1000)
        assert await backlog.waited_s(connection) > 999
        await pauses.begin(asked_by("ops", connection), "new rates")
        assert await backlog.waited_s(connection) == 0
        await pauses.end(asked_by("ops", connection))
        assert 0 <= await backlog.waited_s(connection) < 5
        await connection.execute("UPDATE pauses SET resumed_at = resumed_at - interval '300 s'")
        assert await backlog.waited_s(connection) == pytest.approx(300, abs=5)
        await connection.execute("UPDATE pauses SET resumed_at = resumed_at - interval '3000 s'")
        assert await backlog.waited_s(connection) == pytest.approx(1000, abs=5)
