"""Real servers for every test: one PostgreSQL and one Valkey per test process, a fresh database per test."""

import itertools
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.engine import create_engine
from db.core.migrate import upgrade
from db.core.settings import Settings
from db.ledger.policies import Policies
from scripts.local.embedded import postgres, valkey
from tests.databases import copy_statement, execute, server_folder, url_of_database
from tests.keys import new_key
from tests.stack import Stack, running_stack

_numbers = itertools.count(1)

# The emulator of AWS logs each request to standard error, where tests read what Leadger logs.
logging.getLogger("werkzeug").setLevel(logging.ERROR)

# Examples share a database and never an id. `--hypothesis-profile=campaign` searches longer. In CI every run takes the
# same examples, unless LEADGER_TEST_SEED gives a seed (see scripts/test); a person's run takes new ones.
_SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
hypothesis_settings.register_profile(
    "leadger",
    max_examples=15,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SHARED,
    derandomize=bool(os.environ.get("CI")) and not os.environ.get("LEADGER_TEST_SEED"),
)
hypothesis_settings.register_profile("all", hypothesis_settings.get_profile("leadger"), max_examples=200)
hypothesis_settings.register_profile("campaign", hypothesis_settings.get_profile("leadger"), max_examples=2000)
hypothesis_settings.load_profile("leadger")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run what is slow, too, and more examples of each property")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--all") and not config.getoption("--hypothesis-profile"):
        hypothesis_settings.load_profile("all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is slow, by name, unless it was asked for."""
    if config.getoption("--all"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason=f"{item.name}: slow, runs with scripts/test --all"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL for this test process."""
    with (
        server_folder(tmp_path_factory.mktemp("postgres")) as folder,
        postgres(folder / "data", durable=False) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey for this test process."""
    with valkey(tmp_path_factory.mktemp("valkey") / "data", durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a migrated database that tests are copied from."""
    execute(server_url, "CREATE DATABASE template_leadger")
    upgrade(url_of_database(server_url, "template_leadger"))
    return "template_leadger"


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    execute(server_url, copy_statement(name, template))
    yield url_of_database(server_url, name)
    execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """An empty Valkey."""
    client = redis.Redis.from_url(redis_server_url)
    client.flushall()
    client.close()
    return redis_server_url


@pytest.fixture(scope="session")
def stack(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running Leadger that the tests of this process share: API, worker and beat on servers of their own."""
    folder = tmp_path_factory.mktemp("stack")
    execute(server_url, copy_statement("test_stack", template))
    database_url = url_of_database(server_url, "test_stack")
    with (
        valkey(folder / "valkey", durable=False) as redis_url,
        running_stack(database_url, redis_url, folder / "home") as stack,
    ):
        yield stack
    execute(server_url, "DROP DATABASE test_stack WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, home=tmp_path / "home")


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings, "leadger-test")
    yield engine
    await engine.dispose()


@pytest.fixture
def policies() -> Policies:
    return Policies()


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The API, started, in this process."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def admin_key(engine: AsyncEngine) -> str:
    return await new_key(engine)


@pytest.fixture
async def client(app: FastAPI, admin_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with a key for everything."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client:
        yield client
