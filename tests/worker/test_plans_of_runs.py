"""Whatever a run asks of the database for each portion takes as long for many partners as for few."""

import json
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import asyncpg

from db.bills import records
from db.bills.drafts import draft_from_content
from db.core.engine import transaction
from db.runs import billing, planning
from db.tasks import records as tasks
from tests.billing.bills.builders import content
from tests.world import World
from worker.runtime import Runtime

PARTNERS = 500
PERIOD = 202404


class Explaining:
    """A connection that adds up the rows which the plans of its statements compare in vain."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.compared = 0

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
        self._add((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
        return await self._connection.fetch(query, *arguments)

    def _add(self, node: dict[str, Any]) -> None:
        for rows in (node.get("Rows Removed by Join Filter", 0), node.get("Rows Removed by Filter", 0)):
            self.compared += rows * node["Actual Loops"]
        for child in node.get("Plans", []):
            self._add(child)


async def test_m2_a_run_looks_partners_bills_and_tasks_up_by_their_keys(runtime: Runtime, world: World) -> None:
    async with transaction(runtime.engine) as connection:
        others = await many_partners(connection, world.partners["acme"])
        drafts = [(of, draft_from_content(content(partner=str(of), period=PERIOD))) for of in others]
        portions = [await tasks.create(connection, "portion", {}, "") for _ in range(PARTNERS)]
        await connection.execute("ANALYZE partners")
        explaining = Explaining(connection)
        asked = cast(asyncpg.Connection, explaining)
        assert len(await planning.due(asked, datetime.now(UTC), through=PERIOD, partner_ids=others)) == PARTNERS
        await records.insert_all(connection, drafts)
        assert len(await billing.without_bill(asked, others[:20], PERIOD)) == 20
        assert await tasks.unfinished(asked, portions[:100]) == portions[:100]
    assert explaining.compared <= PARTNERS


async def many_partners(connection: asyncpg.Connection, like: UUID) -> list[UUID]:
    """Copies of a partner, with its time zone."""
    rows = await connection.fetch(
        """
        INSERT INTO partners SELECT (jsonb_populate_record(partners, jsonb_build_object(
            'id', gen_random_uuid(), 'external_id', 'other-' || number
        ))).* FROM partners, generate_series(1, $2) AS number WHERE id = $1 RETURNING id
        """,
        like,
        PARTNERS,
    )
    copies = [row["id"] for row in rows]
    await connection.execute(
        """
        INSERT INTO partner_time_zones (partner_id, from_period, timezone)
        SELECT other, from_period, timezone FROM partner_time_zones, unnest($2::uuid[]) AS other WHERE partner_id = $1
        """,
        like,
        copies,
    )
    return copies
