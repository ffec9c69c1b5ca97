"""Versions of open months: the last of each day stays, and files go with their versions."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.identity import report_uuid
from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.core.settings import Settings
from db.reports import file_removals, report_files, report_versions, snapshots
from tests.builders import lead
from tests.world import World

PERIOD = 202404


@pytest.fixture
async def partner_id(engine: AsyncEngine) -> UUID:
    world = World(engine)
    await world.partner("acme")
    await world.product("crm", "acme")
    await world.customer("ann", "ann@example.com")
    async with transaction(engine, readonly=True) as connection:
        found: UUID = await connection.fetchval("SELECT id FROM partners")
    return found


async def another_version(engine: AsyncEngine, settings: Settings, partner_id: UUID, name: str) -> int:
    """One more lead, and the version that shows it."""
    await World(engine).send(lead(name, (name, "Low", "2024-04-10T09:00:00Z"), customer="ann", product="crm"))
    version = await snapshots.snapshot(engine, settings, partner_id, PERIOD)
    assert version
    return version


async def versions(engine: AsyncEngine, partner_id: UUID) -> list[int]:
    async with transaction(engine, readonly=True) as connection:
        return [each.version for each in await report_versions.read(connection, report_uuid(partner_id, PERIOD))]


async def make_due(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute("UPDATE report_file_removals SET remove_at = clock_timestamp()")


async def planned(engine: AsyncEngine) -> int:
    async with transaction(engine, readonly=True) as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM report_file_removals")
    return count


def files(settings: Settings) -> set[Path]:
    return set((settings.home / "reports").glob("*/*"))


async def test_the_last_version_of_each_day_and_all_final_ones_stay(
    engine: AsyncEngine, settings: Settings, partner_id: UUID
) -> None:
    days = [("2026-01-01 00:00", False), ("2026-01-01 23:59", False), ("2026-01-02 00:00", False)]
    days += [("2026-01-03 10:00", True), ("2026-01-03 11:00", False), ("2026-01-03 12:00", True)]
    days += [("2026-01-03 13:00", False), ("2026-01-04 10:00", False), ("2026-01-04 11:00", False)]
    for number, (as_of, final) in enumerate(days, start=1):
        assert await another_version(engine, settings, partner_id, f"lead {number}") == number
        async with transaction(engine) as connection:
            await connection.execute(
                "UPDATE billing_reports SET as_of = ($1 || 'Z')::timestamptz, final = $2 WHERE version = $3",
                as_of,
                final,
                number,
            )
    assert await snapshots.drop_replaced(engine, partner_id, PERIOD) == 3
    assert await versions(engine, partner_id) == [9, 7, 6, 4, 3, 2]
    assert await snapshots.drop_replaced(engine, partner_id, PERIOD) == 0
    assert await another_version(engine, settings, partner_id, "one more") == 10


async def test_files_go_after_their_versions_and_no_others(
    engine: AsyncEngine, settings: Settings, partner_id: UUID
) -> None:
    await another_version(engine, settings, partner_id, "one")
    first = files(settings)
    await another_version(engine, settings, partner_id, "two")
    both = files(settings)
    assert (len(first), len(both)) == (2, 4)
    assert await planned(engine) == 0
    assert await snapshots.drop_replaced(engine, partner_id, PERIOD) == 1
    assert await file_removals.remove_due(engine, settings) == 0  # a download may have begun
    assert (files(settings), await planned(engine)) == (both, 2)
    await make_due(engine)
    assert await file_removals.remove_due(engine, settings) == 2
    assert (files(settings), await planned(engine)) == (both - first, 0)


async def test_what_a_killed_snapshot_wrote_is_swept(
    engine: AsyncEngine, settings: Settings, partner_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    await another_version(engine, settings, partner_id, "one")
    recorded = files(settings)
    monkeypatch.setattr(report_versions, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        await another_version(engine, settings, partner_id, "two")
    assert len(files(settings)) == 4
    await make_due(engine)
    assert await file_removals.remove_due(engine, settings) == 2
    assert files(settings) == recorded


async def test_a_version_is_not_recorded_whose_files_were_swept_meanwhile(
    engine: AsyncEngine, settings: Settings, partner_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files = snapshots.write_files

    async def too_slowly(*arguments: object) -> object:
        written = await write_files(*arguments)  # type: ignore[arg-type]  # as they came
        await make_due(engine)
        await file_removals.remove_due(engine, settings)
        return written

    monkeypatch.setattr(snapshots, "write_files", too_slowly)
    with pytest.raises(FileUnavailable):
        await another_version(engine, settings, partner_id, "one")
    assert await versions(engine, partner_id) == []


async def test_files_of_another_installation_or_on_record_stay(
    engine: AsyncEngine, settings: Settings, partner_id: UUID, tmp_path: Path
) -> None:
    await another_version(engine, settings, partner_id, "one")
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("x")
    async with transaction(engine) as connection:
        urls = [row["url"] for row in await connection.fetch("SELECT url FROM billing_report_files")]
        await file_removals.plan(
            connection, report_uuid(partner_id, PERIOD), [*urls, foreign.as_uri()], file_removals.REPLACED_AFTER
        )
    await make_due(engine)
    assert await file_removals.remove_due(engine, settings) == 0
    assert foreign.exists()
    assert len(files(settings)) == 2
    assert await planned(engine) == 0


async def test_large_reports_are_spooled_under_the_home_and_not_in_the_systems_folder(
    engine: AsyncEngine, settings: Settings, partner_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: a large one was never written in a container, whose /tmp has 16 MB."""
    monkeypatch.setattr(report_files, "IN_MEMORY_BYTES", 1)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    await another_version(engine, settings, partner_id, "one")
    assert len(files(settings)) == 2
    assert [path.name for path in settings.home.iterdir()] == ["reports"]
