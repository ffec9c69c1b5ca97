"""The tests of this folder run on the oldest PostgreSQL that is there, in place of the embedded one."""

from collections.abc import Iterator

import pytest

from db.core.migrate import upgrade
from tests.api.conftest import shared_client, shared_engine, shared_key, shared_settings
from tests.databases import execute, server_folder, url_of_database
from tests.db.conftest import examples
from tests.oldest_postgres.server import SUPPORTED, oldest_programs, running_server

__all__ = ["examples", "shared_client", "shared_engine", "shared_key", "shared_settings"]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    programs = oldest_programs()
    if programs is None:
        pytest.skip(
            f"an older PostgreSQL was not tried: no programs of {SUPPORTED[0]} to {SUPPORTED[-1]} found "
            "(on Debian 12: apt-get install postgresql-15)"
        )
    with (
        server_folder(tmp_path_factory.mktemp("oldest_postgres")) as folder,
        running_server(programs, folder / "data") as url,
    ):
        yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The template of other tests of this process is on the other server."""
    execute(server_url, "CREATE DATABASE template_leadger")
    upgrade(url_of_database(server_url, "template_leadger"))
    return "template_leadger"
