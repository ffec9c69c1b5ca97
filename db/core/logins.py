"""Logins of the database: a group role that may read and write rows, and its members.

The group owns nothing, so none of its members can alter or truncate a table or disable a trigger. Call these as the
owner of the tables.
"""

import asyncpg

_GRANTS = """
    GRANT USAGE ON SCHEMA public TO %1$I;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %1$I;
    REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM %1$I;
    GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO %1$I;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %1$I;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, USAGE ON SEQUENCES TO %1$I;
"""


async def grant(connection: asyncpg.Connection, group: str) -> None:
    """Create the group if it is missing and let it read and write the rows of all present and future tables."""
    if not await _exists(connection, group):
        await _execute(connection, "CREATE ROLE %1$I NOLOGIN", group)
    await _execute(connection, _GRANTS, group)


async def add_login(connection: asyncpg.Connection, group: str, login: str, verifier: str) -> None:
    """Create the login, or change the password of an existing one, and add it to the group."""
    verb = "ALTER" if await _exists(connection, login) else "CREATE"
    await _execute(connection, f"{verb} ROLE %1$I LOGIN PASSWORD %2$L; GRANT %3$I TO %1$I", login, verifier, group)


async def is_member(connection: asyncpg.Connection, group: str) -> bool:
    """Whether the current login has the rights of the group."""
    member: bool = await connection.fetchval(
        "SELECT coalesce((SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = $1), false)", group
    )
    return member


async def _exists(connection: asyncpg.Connection, role: str) -> bool:
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role)
    return found


async def _execute(connection: asyncpg.Connection, statements: str, *names: str) -> None:
    """Run statements that take no parameters; the server quotes the names and texts in them."""
    await connection.execute(await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", statements, names))
