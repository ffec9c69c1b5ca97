"""The first release's database, filled, on the server of this test process."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.databases import execute, url_of_database
from tests.upgrade.first_release import restore_database


@dataclass(frozen=True)
class FirstDatabase:
    """Where it is, and an API key for it."""

    url: str
    key: str


@pytest.fixture
def first_database(server_url: str) -> Iterator[FirstDatabase]:
    """The database of the first release."""
    execute(server_url, "CREATE DATABASE test_first_release")
    url = url_of_database(server_url, "test_first_release")
    yield FirstDatabase(url, restore_database(url))
    execute(server_url, "DROP DATABASE test_first_release WITH (FORCE)")
