"""A PostgreSQL with fsync on and a Valkey of the bench's own, in a temporary folder, and fresh databases on them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis

from db.core.migrate import upgrade
from db.core.settings import Settings
from scripts.dev.bench.masters import create
from scripts.dev.bench.world import World
from scripts.errors import CannotStart
from scripts.local.embedded.postgres import prepare_postgres
from scripts.local.embedded.valkey import prepare_valkey
from scripts.local.processes.process import Command, Process

_START_S = 60.0
_MIGRATED = "bench_migrated"
_SETTINGS = {
    # Says when each batch of verdicts was committed; without it one would have to poll for it.
    "track_commit_timestamp": "on",
    # Only loaded, for the profiles; it measures nothing in a database without its extension's view being read.
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
    "pg_stat_statements.track_planning": "on",
}


@dataclass(frozen=True)
class Database:
    """A database with the masters of a world in it, and an API key with all scopes."""

    name: str
    url: str
    key: str
    world: World


@dataclass
class Servers:
    """The two servers, and the templates that were made on them."""

    home: Path
    postgres_url: str
    redis_url: str
    postgres_folder: Path
    templates: dict[World, str] = field(default_factory=dict)
    made: int = 0

    def database(self, world: World) -> Database:
        """A fresh database with the masters of a world, copied from a template."""
        if world not in self.templates:
            self.templates[world] = self._make_template(world)
        self.made += 1
        name = f"bench_{self.made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template_name(world)}")
        return Database(name, self.url(name), self.templates[world], world)

    def copy(self, database: Database) -> Database:
        """A copy of a database, file by file."""
        self.made += 1
        name = f"bench_{self.made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {database.name} STRATEGY FILE_COPY")
        return replace(database, name=name, url=self.url(name))

    def drop(self, database: Database) -> None:
        """Remove a database; its size would slow the checkpoints of what follows."""
        self.execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    def flush_redis(self) -> None:
        """Empty Valkey."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def settings(self, database_url: str) -> Settings:
        """What a process of Leadger needs to know."""
        return Settings(
            database_url=database_url, redis_url=self.redis_url, home=self.home / "files", log_level="ERROR"
        )

    def url(self, name: str) -> str:
        """The URL of a database of the server."""
        return urlunsplit(urlsplit(self.postgres_url)._replace(path=f"/{name}"))

    def execute(self, *statements: str, database_url: str = "") -> None:
        """Run statements, each in a transaction of its own."""

        async def run() -> None:
            connection = await asyncpg.connect(database_url or self.postgres_url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def _make_template(self, world: World) -> str:
        if not self.templates:
            self.execute(f"CREATE DATABASE {_MIGRATED}")
            upgrade(self.url(_MIGRATED))
        name = self._template_name(world)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_MIGRATED}")
        key = asyncio.run(create(world, self.settings(self.url(name))))
        self.execute("VACUUM ANALYZE", database_url=self.url(name))
        return key

    def _template_name(self, world: World) -> str:
        return f"bench_world_{world.partners}_{world.products_per_partner}_{world.customers}"


@contextmanager
def running_servers(home: Path, **postgres_settings: str) -> Iterator[Servers]:
    """Start both servers as the product would, durable, and stop them at the end."""
    postgres = prepare_postgres(home / "postgres")
    valkey = prepare_valkey(home / "valkey")
    options = [word for name, value in (_SETTINGS | postgres_settings).items() for word in ("-c", f"{name}={value}")]
    command = replace(postgres.command, argv=(*postgres.command.argv, *options))
    with ExitStack() as stack:
        stack.enter_context(running(command, postgres.is_ready, home / "postgres.log"))
        stack.enter_context(running(valkey.command, valkey.is_ready, home / "valkey.log"))
        yield Servers(home, postgres.url, valkey.url, postgres.data_dir)


@contextmanager
def running(command: Command, is_ready: Callable[[], bool], log: Path) -> Iterator[Process]:
    """A command, from when it is ready until the end of the block."""
    with log.open("ab") as output:
        process = Process(command, output)
    try:
        deadline = time.monotonic() + _START_S
        while not is_ready():
            if not process.running or time.monotonic() > deadline:
                raise CannotStart(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.stop()
        process.wait()
