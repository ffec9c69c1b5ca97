"""One application for all tests of a module, for those that leave nothing behind that another one could see."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.engine import create_engine
from db.core.settings import Settings
from scripts.local.embedded.ports import free_port
from scripts.local.processes.process import Process
from tests.api.world import api_process
from tests.databases import copy_statement
from tests.keys import new_key


@pytest.fixture(scope="module")
async def shared_settings(
    anyio_backend: str,  # so that tests without `async` can use it too
    server_url: str,
    redis_server_url: str,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Settings]:
    """A fresh, migrated database for the module."""
    home = tmp_path_factory.mktemp("home")
    name = f"test_{home.name}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(copy_statement(name, template))
    database_url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    yield Settings(database_url=database_url, redis_url=redis_server_url, home=home)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture(scope="module")
async def shared_engine(shared_settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(shared_settings, "leadger-test")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def shared_key(shared_engine: AsyncEngine) -> str:
    return await new_key(shared_engine)


@pytest.fixture(scope="module")
async def shared_client(shared_settings: Settings, shared_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with a key for everything."""
    app = create_app(shared_settings)
    headers = {"Authorization": f"Bearer {shared_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://leadger", headers=headers
        ) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def shared_server(shared_settings: Settings) -> Iterator[tuple[str, Process]]:
    """The API as it runs in production, in a process of its own: its URL and the process."""
    port = free_port()
    with api_process(shared_settings, port) as process:
        yield f"http://127.0.0.1:{port}", process
