"""R2: accepted means committed in Postgres, whatever happens next."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.errors import DATABASE_UNAVAILABLE
from db.intake import inbox
from db.intake.group_commit import InboxWriter
from db.intake.inbox import Accepted
from tests.builders import lead
from tests.world import World, domain_leads

_FAILS_AT_COMMIT = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION fail();
"""


def request(count: int = 1) -> Accepted:
    leads = domain_leads(*(lead(customer="ann", product="crm") for _ in range(count)))
    return Accepted(uuid4(), "request", datetime.now(UTC), leads)


async def waiting(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        count: int = await connection.fetchval("SELECT coalesce(sum(lead_count), 0) FROM inbox WHERE done_at IS NULL")
        return count


async def test_r2_what_is_acknowledged_is_seen_by_every_other_connection(engine: AsyncEngine) -> None:
    notified: list[str] = []
    writer = InboxWriter(engine, notified.append)
    await writer.write(request())
    assert await waiting(engine) == 1
    assert notified == ["request"]


async def test_r2_workers_are_notified_only_after_the_commit(engine: AsyncEngine) -> None:
    seen: list[asyncio.Task[int]] = []
    writer = InboxWriter(engine, lambda _: seen.append(asyncio.create_task(waiting(engine))))
    await writer.write(request(3))
    assert [await count for count in seen] == [3]


async def test_r2_requests_that_come_during_a_commit_share_the_next_one(engine: AsyncEngine) -> None:
    notified: list[str] = []
    writer = InboxWriter(engine, notified.append)
    await asyncio.gather(*(writer.write(request()) for _ in range(100)))
    assert await waiting(engine) == 100
    assert len(notified) <= 2


async def test_r2_a_commit_that_fails_acknowledges_nothing_and_stores_nothing(engine: AsyncEngine) -> None:
    notified: list[str] = []
    writer = InboxWriter(engine, notified.append)
    async with transaction(engine) as connection:
        await connection.execute(_FAILS_AT_COMMIT)
    results = await asyncio.gather(*(writer.write(request()) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [asyncpg.exceptions.DiskFullError] * 5
    assert (await waiting(engine), notified) == (0, [])
    async with transaction(engine) as connection:
        await connection.execute("DROP TRIGGER at_commit ON inbox")
    await writer.write(request())
    assert await waiting(engine) == 1


async def test_r2_requests_that_share_a_commit_are_stored_together_or_not_at_all(engine: AsyncEngine) -> None:
    notified: list[str] = []
    writer = InboxWriter(engine, notified.append)
    await writer.write(request())
    unstorable = replace(request(), request_id="no text of Postgres \0")
    group = [request(), request(600), unstorable, request()]
    results = await asyncio.gather(*(writer.write(each) for each in group), return_exceptions=True)
    assert [type(result) for result in results] == [asyncpg.exceptions.CharacterNotInRepertoireError] * 4
    assert (await waiting(engine), len(notified)) == (1, 1)
    await writer.write(request())
    assert (await waiting(engine), len(notified)) == (2, 2)


async def test_r2_a_connection_that_is_lost_between_two_commits_is_replaced(engine: AsyncEngine) -> None:
    notified: list[str] = []
    acknowledged = 0

    async def lose_all_connections() -> None:
        async with transaction(engine) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    writer = InboxWriter(engine, notified.append)
    for _ in range(5):
        results = await asyncio.gather(
            lose_all_connections(), *(writer.write(request()) for _ in range(20)), return_exceptions=True
        )
        acknowledged += results[1:].count(None)
        assert all(result is None or isinstance(result, DATABASE_UNAVAILABLE) for result in results[1:]), results
    for _ in range(20):  # as many may still be lost as the pool had
        with suppress(*DATABASE_UNAVAILABLE):
            await writer.write(request())
            break
    else:
        pytest.fail("no connection was replaced")
    assert await waiting(engine) >= acknowledged + 1


async def test_r2_a_request_of_many_leads_becomes_rows_of_500_that_several_workers_share(world: World) -> None:
    async with transaction(world.engine) as connection:
        await inbox.add(connection, [request(1200)])
        counts = await connection.fetch("SELECT part, lead_count FROM inbox ORDER BY part")
    assert [tuple(row) for row in counts] == [(0, 500), (1, 500), (2, 200)]


async def test_r2_a_row_that_one_worker_holds_is_passed_over_by_another(world: World) -> None:
    async with transaction(world.engine) as connection:
        await inbox.add(connection, [request(), request()])
    async with transaction(world.engine) as one, transaction(world.engine) as other:
        first, second = await inbox.claim(one, 1), await inbox.claim(other, 1)
        assert await inbox.claim(other, 1) == second
        assert {chunk.id for chunk in first}.isdisjoint(chunk.id for chunk in second)


_RECORDS_AT_COMMIT = """
CREATE TABLE commits (what text, flush text);
CREATE FUNCTION record_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    INSERT INTO commits VALUES (TG_TABLE_NAME || ' ' || TG_OP, current_setting('synchronous_commit'));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE OF done_at ON inbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION record_commit();
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON partners DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION record_commit();
"""


async def test_r2_only_a_batch_commits_before_it_is_on_disk(engine: AsyncEngine, world: World) -> None:
    """A crash that undoes a batch undoes its mark in the inbox as well; nothing else would be done again."""
    async with transaction(engine) as connection:
        await connection.execute(_RECORDS_AT_COMMIT)
        # The servers of tests never wait for the disk, unless their database says so.
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    await engine.dispose()
    await world.send(lead(customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    async with transaction(engine) as connection:
        commits = {tuple(row) for row in await connection.fetch("SELECT * FROM commits")}
    assert commits == {("inbox INSERT", "on"), ("inbox UPDATE", "off"), ("partners UPDATE", "on")}
