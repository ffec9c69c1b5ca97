"""A folder of report files that cannot be written keeps no closing and no rebuild from being done."""

import asyncio
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import inbox
from db.ledger import rebuild
from db.tasks import records
from tests.builders import distinct
from tests.world import World
from worker.runtime import Runtime
from worker.task_kinds import RUNNER
from worker.tasks import reports


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a file where the folder of reports should be, which not even root can write into."""
    Path(settings.home).mkdir(exist_ok=True, parents=True)
    (Path(settings.home) / "reports").write_text("a file")
    return settings


async def _create(world: World, kind: str) -> UUID:
    async with transaction(world.engine) as connection:
        arguments = {
            "partner_id": world.partners["acme"],
            "period": 202404,
            "newest_waiting": await inbox.newest_waiting(connection),
        }
        task_id: UUID = await records.create(connection, kind, arguments, "request")
    return task_id


async def _read(world: World, task_id: UUID) -> records.Task:
    async with transaction(world.engine, readonly=True) as connection:
        row = await records.read(connection, task_id)
    assert row is not None
    return row


async def _versions(world: World) -> list[tuple[int, bool, int]]:
    """Each version: its number, whether it is final, and how many files it has."""
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch(
            """
            SELECT version, final, count(url) AS files FROM billing_reports
            LEFT JOIN billing_report_files USING (report_id, version) GROUP BY version, final ORDER BY version
            """
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("kind", ["close", rebuild.KIND])
async def test_a_task_is_done_although_its_files_cannot_be_written_and_they_are_written_later(
    runtime: Runtime, world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.accept(*distinct(3, "2024-04-10T09:00:00Z", customer="ann", product="crm"))
    if kind != "close":
        await world.work()
    task_id = await _create(world, kind)
    await RUNNER.run(runtime, task_id)
    task = await _read(world, task_id)
    assert (task.state, task.error) == ("done", None)
    assert task.result is not None
    assert task.result["report_version"] is None
    assert task.result["files_error"].startswith("The report file file://")
    assert "cannot be read or written just now" in task.result["files_error"]
    assert await _versions(world) == []
    async with transaction(world.engine, readonly=True) as connection:
        closed_through = await connection.fetchval("SELECT closed_through FROM partners")
    assert closed_through == (202404 if kind == "close" else None)
    await reports.snapshot_changed(runtime)
    assert await _versions(world) == []
    (Path(runtime.settings.home) / "reports").unlink()
    await reports.snapshot_changed(runtime)
    assert await _versions(world) == [(1, kind == "close", 2)]


_FULL = """
import resource, sys, uuid
from db.core.settings import Settings
from worker import process
from worker.task_kinds import RUNNER

database_url, redis_url, home, task_id = sys.argv[1:]
process.start(Settings(database_url=database_url, redis_url=redis_url, home=home))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
process.run(lambda runtime: RUNNER.run(runtime, uuid.UUID(task_id)))
process.stop()
"""
"""A worker that cannot write a byte to any file, as on a full disk."""


async def test_on_a_full_disk_a_closing_is_done_and_its_files_are_written_later(
    runtime: Runtime, world: World, settings: Settings
) -> None:
    (Path(settings.home) / "reports").unlink()
    await world.accept(*distinct(3, "2024-04-10T09:00:00Z", customer="ann", product="crm"))
    task_id = await _create(world, "close")
    arguments = [settings.database_url, settings.redis_url, str(settings.home), str(task_id)]
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _FULL, *arguments], check=True, capture_output=True)
    task = await _read(world, task_id)
    assert (task.state, task.error) == ("done", None)
    assert task.result is not None
    assert task.result["files_error"].endswith("cannot be read or written just now: [Errno 27] File too large.")
    assert await _versions(world) == []
    assert not [path for path in (Path(settings.home) / "reports").rglob("*") if path.is_file()]
    await reports.snapshot_changed(runtime)
    assert await _versions(world) == [(1, True, 2)]


async def test_one_report_whose_files_cannot_be_written_stops_no_other(runtime: Runtime, world: World) -> None:
    for month in ("2024-04", "2024-05"):
        await world.accept(*distinct(3, f"{month}-10T09:00:00Z", customer="ann", product="crm"))
    await world.work()
    folder = Path(runtime.settings.home) / "reports"
    folder.unlink()
    folder.mkdir()
    (folder / "2024-04").write_text("a file")
    await reports.snapshot_changed(runtime)
    async with transaction(world.engine, readonly=True) as connection:
        written = await connection.fetch("SELECT period FROM billing_reports")
    assert [row["period"] for row in written] == [202405]
