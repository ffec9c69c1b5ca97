"""The memory of a worker's process is bounded, whatever the requests that it decides hold."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import inbox
from db.intake.inbox import INBOX_COLUMNS
from tests.builders import action
from tests.world import World, domain_leads

LEADS, ACTIONS = 150, 1000

_CHILD = """
import sys
from db.core.settings import Settings
from worker import process
from worker.tasks.leads import empty_inbox

process.start(Settings(database_url=sys.argv[1], redis_url=sys.argv[2]))
while not process.run(empty_inbox):
    pass
process.stop()
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
async def test_a_worker_needs_no_more_than_250_mb_for_requests_of_150_leads_of_1000_actions(
    world: World, settings: Settings
) -> None:
    """Failed before: six of them were one transaction, and its process grew to 1.3 GB.

    One request lies there as the release before stored it, in one row; the other one came through today's API.
    """
    start = datetime(2024, 4, 1, tzinfo=UTC)
    sent = [
        {
            "lead_id": f"large {number}",
            "customer_id": "ann",
            "product_id": "crm",
            "lead_type": "Website Visit",
            "actions": [action(f"Click {which}", "Low", start) for which in range(ACTIONS)],
        }
        for number in range(2 * LEADS)
    ]
    older, ours = domain_leads(*sent[:LEADS]), domain_leads(*sent[LEADS:])
    async with transaction(world.engine) as connection:
        row: tuple[object, ...] = (uuid4(), 0, 0, "test", start, LEADS, [], msgspec.json.encode(older))
        await connection.copy_records_to_table("inbox", records=[row], columns=INBOX_COLUMNS)
        await inbox.add(connection, [inbox.Accepted(uuid4(), "test", start, ours)])
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CHILD, settings.database_url, settings.redis_url],
        check=True,
        capture_output=True,
        text=True,
    )
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM actions") == 2 * LEADS * ACTIONS
        assert await connection.fetchval("SELECT max(cardinality(lead_ids)) FROM inbox WHERE part > 0") == 5
    assert int(child.stdout.splitlines()[-1]) <= 250_000, child.stdout
