"""What a migration may rely on: one process at a time, a transaction of its own, and a way out of it."""

import asyncio
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from db.core.migrate import ROOT, alembic_config, upgrade
from tests.databases import copy_statement, execute, url_of_database

_VERSIONS = ROOT / "alembic/versions"
_FILE = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    {body}
"""


@dataclass
class Later:
    """A database at this release, and the migrations of a later one."""

    url: str
    folder: Path
    newest: str

    @property
    def config(self) -> Config:
        config = alembic_config(self.url)
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", f"{_VERSIONS}\n{self.folder}")
        return config

    def add(self, revision: str, body: str) -> None:
        """A migration after all others."""
        text = _FILE.format(revision=revision, before=self.newest, body=body)
        (self.folder / f"{revision}.py").write_text(text)
        self.newest = revision

    def upgrade(self) -> None:
        command.upgrade(self.config, "head")

    def fetch(self, query: str) -> Any:
        async def fetch() -> Any:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(fetch())


@pytest.fixture
def later(server_url: str, template: str, tmp_path: Path) -> Iterator[Later]:
    execute(server_url, copy_statement("test_later", template))
    url = url_of_database(server_url, "test_later")
    [newest] = ScriptDirectory.from_config(alembic_config(url)).get_heads()
    yield Later(url, tmp_path, newest)
    execute(server_url, "DROP DATABASE test_later WITH (FORCE)")


def test_a_migration_that_fails_takes_none_before_it_back(later: Later) -> None:
    later.add("first", 'op.execute("CREATE TABLE first ()")')
    later.add("second", 'op.execute("CREATE TABLE second ()"); op.execute("SELECT 1 / 0")')
    with pytest.raises(DBAPIError, match="division by zero"):
        later.upgrade()
    assert later.fetch("SELECT version_num FROM alembic_version") == "first"
    assert later.fetch("SELECT to_regclass('first') IS NOT NULL AND to_regclass('second') IS NULL")


@pytest.mark.slow
def test_an_index_is_made_concurrently_while_another_process_waits_for_its_turn(later: Later) -> None:
    """A process that waited inside a statement would be waited for by the index: a deadlock."""
    later.add(
        "indexed",
        "with op.get_context().autocommit_block():\n"
        '        op.execute("SELECT pg_sleep(2)")\n'
        '        op.execute("CREATE INDEX CONCURRENTLY ix_later ON actions (product_id)")',
    )
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:  # alembic is for one thread
        for migrating in [processes.submit(later.upgrade) for _ in range(2)]:
            migrating.result(timeout=60)
    assert later.fetch("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_later'::regclass")
    assert later.fetch("SELECT version_num FROM alembic_version") == "indexed"


async def test_a_migration_that_does_not_get_its_lock_is_tried_again(later: Later) -> None:
    """Failed before: one open transaction of a reader made the upgrade fail."""
    later.add("locks", "op.execute(\"SET LOCAL lock_timeout = '100ms'\"); op.execute('LOCK TABLE leads')")
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'leads'::regclass"
    reader = await asyncpg.connect(later.url)
    async with reader.transaction():
        await reader.execute("SELECT FROM leads")
        migrating = asyncio.create_task(asyncio.to_thread(later.upgrade))
        while not await reader.fetchval(waits):
            assert not migrating.done()
        await asyncio.sleep(0.5)  # it has given up by now
    await migrating
    assert await reader.fetchval("SELECT version_num FROM alembic_version") == "locks"
    await reader.close()


_OUTSIDE = [file.stem for file in sorted(_VERSIONS.glob("*.py")) if "autocommit_block" in file.read_text()]


@pytest.mark.parametrize("revision", [name.partition("_")[0] for name in _OUTSIDE], ids=_OUTSIDE)
def test_a_migration_that_was_broken_off_outside_its_transaction_is_run_again(server_url: str, revision: str) -> None:
    """Failed before: what stands before such a block is committed, but the revision is not yet written."""
    execute(server_url, "CREATE DATABASE test_broken_off")
    url = url_of_database(server_url, "test_broken_off")
    try:
        upgrade(url, revision)
        before = ScriptDirectory.from_config(alembic_config(url)).get_revision(revision)
        execute(url, f"UPDATE alembic_version SET version_num = '{before.down_revision}'")
        upgrade(url, revision)
    finally:
        execute(server_url, "DROP DATABASE test_broken_off WITH (FORCE)")


@pytest.mark.parametrize(
    "file", [file for file in sorted(_VERSIONS.glob("*.py")) if file.name >= "0004"], ids=lambda file: file.stem
)
def test_a_migration_gives_way_before_others_are_ended_as_victims_of_a_deadlock(file: Path) -> None:
    ways = file.read_text().split("\ndef upgrade() -> None:\n")[1].split("\ndef downgrade() -> None:\n")
    assert len(ways) == 2
    for way in ways:
        first = re.search(r"SET LOCAL lock_timeout = '(\d+)ms'", way.lstrip().splitlines()[0])
        assert first, "the template begins with it"
        assert int(first[1]) < 1000, "deadlock_timeout of Postgres"
