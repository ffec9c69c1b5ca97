"""The few things that the command line does in the database itself; each error is one message for a person."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
from alembic.util.exc import CommandError
from pydantic import ValidationError

from db.core.errors import DATABASE_ERRORS
from db.core.migrate import upgrade
from scripts.errors import CannotStart
from scripts.local.first_key import create_first_key


def store_first_key(database_url: str, name: str, scopes: Sequence[str], key_hash: bytes) -> None:
    """Write the first key of an installation; raises CannotStart if there are keys, or no way to write one."""
    with database_errors_as_one_message("DATABASE_URL"):
        try:
            is_first = create_first_key(database_url, name, scopes, key_hash)
        except asyncpg.UndefinedTableError:
            raise CannotStart(
                "The database of DATABASE_URL has no tables yet: run `alembic upgrade head` or start Leadger once."
            ) from None
    if not is_first:
        raise CannotStart("There are keys already: make more with an admin key and without --first.")


def migrate(database_url: str, named_by: str) -> None:
    """Bring a database to the newest schema; raises CannotStart if that is not possible."""
    with database_errors_as_one_message(named_by):
        upgrade(database_url)


@contextmanager
def database_errors_as_one_message(named_by: str) -> Iterator[None]:
    """Turn the database's errors into one message, CannotStart, that says which variable names the database."""
    try:
        yield
    except ValidationError as error:
        raise CannotStart(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
    except CommandError as error:
        raise CannotStart(f"The database of {named_by} cannot be migrated by this release: {error}.") from None
    except (*DATABASE_ERRORS, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CannotStart(f"The database of {named_by} cannot be used: {reason}") from None
