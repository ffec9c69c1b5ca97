"""Pauses are on record: one at a time, with who, when and why, for ever."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.tasks import pauses
from db.tasks.pauses import Paused
from tests.asked import asked_by


async def test_the_first_pause_stands_and_every_one_is_kept(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        assert await pauses.current(connection) is None
        assert not await pauses.end(asked_by("nobody", connection))
        assert await pauses.begin(asked_by("ann", connection), "new rates")
        assert not await pauses.begin(asked_by("bob", connection), "lunch")
        pause = await pauses.current(connection)
        assert pause is not None
        assert (pause.paused_by, pause.reason) == ("ann", "new rates")
        assert await pauses.end(asked_by("bob", connection))
        assert not await pauses.end(asked_by("bob", connection))
        assert await pauses.begin(asked_by("bob", connection), "lunch")
        rows = await connection.fetch("SELECT paused_by, reason, resumed_by FROM pauses ORDER BY id")
        assert [tuple(row) for row in rows] == [("ann", "new rates", "bob"), ("bob", "lunch", None)]


async def test_two_at_the_same_time_make_one_pause(engine: AsyncEngine) -> None:
    async def begin(number: int) -> bool:
        async with transaction(engine) as connection:
            begun = await pauses.begin(asked_by(f"key {number}", connection), "because")
            await asyncio.sleep(0.05)
            return begun

    assert sorted(await asyncio.gather(*(begin(n) for n in range(5)))) == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("error", "insert"),
    [
        (asyncpg.UniqueViolationError, "INSERT INTO pauses (paused_by, reason) VALUES ('x', 'y'), ('x', 'y')"),
        (
            asyncpg.CheckViolationError,
            "INSERT INTO pauses (paused_by, reason, resumed_at) VALUES ('x', 'y', clock_timestamp())",
        ),
    ],
)
async def test_the_database_keeps_out_what_must_not_be(
    engine: AsyncEngine, error: type[Exception], insert: str
) -> None:
    async with transaction(engine) as connection:
        with pytest.raises(error):
            await connection.execute(insert)


async def test_whoever_would_decide_leads_is_told_why_not(engine: AsyncEngine) -> None:
    await pauses.refuse_if_paused(engine)
    async with transaction(engine) as connection:
        await pauses.begin(asked_by("ann", connection), "new rates")
        await connection.execute("UPDATE pauses SET paused_at = '2024-04-01T10:00:00+02:00'")
    with pytest.raises(Paused) as paused:
        await pauses.refuse_if_paused(engine)
    assert str(paused.value) == "The workers have been paused since 2024-04-01 08:00:00 UTC by ann: new rates"
