"""`/ready` during an upgrade: a new process waits for the migrations, an old one outlives them."""

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction


async def test_an_old_process_stays_ready_on_the_schema_of_a_later_release(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Failed before: with the migrations, a load balancer would have lost every old process at once."""
    async with transaction(engine) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'of a later release'")
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "degraded": []})


async def test_a_schema_that_nobody_has_made_yet_is_not_ready(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute("DELETE FROM alembic_version")
    answer = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("The database schema is not up to date: it is at None, ")
