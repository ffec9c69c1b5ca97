"""Databases of a server that tests make by hand."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg


def url_of_database(server_url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def execute(url: str, statement: str) -> None:
    """Execute SQL on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
