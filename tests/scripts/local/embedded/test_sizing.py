"""The embedded server is as large as the machine allows."""

from pathlib import Path

import asyncpg
import pytest

from scripts.local.embedded import postgres
from scripts.local.embedded.sizing import Size, size_for, size_of

_GB = 1024**3


@pytest.mark.parametrize(
    ("memory_gb", "disk_gb", "size"),
    [
        (96, 100, Size(8192, 16 * 1024)),
        (24, 100, Size(6144, 16 * 1024)),
        (8, 20, Size(2048, 5 * 1024)),
        (2, 4, Size(512, 1024)),
        (0.5, 1, Size(128, 512)),
    ],
)
def test_memory_and_free_disk_decide(memory_gb: float, disk_gb: float, size: Size) -> None:
    assert size_of(int(memory_gb * _GB), int(disk_gb * _GB)) == size


async def test_the_server_has_the_size_that_is_said(tmp_path: Path) -> None:
    size = size_for(tmp_path / "not" / "yet" / "made")
    with postgres(tmp_path / "data") as url:
        connection = await asyncpg.connect(url)
        shown = {name: await connection.fetchval(f"SHOW {name}") for name in size.settings()}
        pages = await connection.fetchval("SELECT setting::bigint FROM pg_settings WHERE name = 'shared_buffers'")
        await connection.close()
    assert pages * 8192 == size.shared_buffers_mb * 1024**2
    assert (shown["checkpoint_timeout"], shown["wal_init_zero"]) == ("30min", "off")
