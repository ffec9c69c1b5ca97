"""What lies about beside the decided leads: those of one noisy customer behind a batch, and many in quarantine."""

from datetime import UTC, datetime
from uuid import uuid4

import asyncpg

from billing.leads import Lead, LeadAction
from db.intake import inbox
from db.intake.inbox import Accepted
from db.intake.payloads import payload_from_lead
from scripts.dev.bench.world import World

_INSTANT = datetime(2024, 4, 28, tzinfo=UTC)


async def quarantined(connection: asyncpg.Connection, leads: int) -> None:
    """Quarantine leads: half wait for masters that never come or conflict with other leads, half are resolved."""
    await connection.execute(
        """
        INSERT INTO quarantine (lead_id, content_id, batch_id, received_at, reason, detail, product_id, customer_id,
            payload, resolved_at)
        SELECT md5('lead ' || n)::uuid, md5('content ' || n)::uuid, md5('batch')::uuid, clock_timestamp(),
            (ARRAY['unknown_product', 'unknown_customer', 'conflict'])[n % 3 + 1], 'stored',
            md5('product ' || n)::uuid, md5('customer ' || n)::uuid, $2,
            CASE WHEN n % 2 = 0 THEN clock_timestamp() END
        FROM generate_series(1, $1::int) AS n
        """,
        leads,
        payload_from_lead(_lead("stored", "unknown", "unknown")),
    )
    await connection.execute("ANALYZE quarantine")  # they would not have come in an instant


async def waiting(connection: asyncpg.Connection, world: World, name: str, leads: int) -> str:
    """Have leads wait in one partition, each in a request of its own; returns the id of the last one."""
    ids = [f"{name}-waiting-{number}" for number in range(leads)]
    await inbox.add(connection, [_alone(world, lead_id) for lead_id in ids])
    return ids[-1]


async def nobody_waits(connection: asyncpg.Connection) -> None:
    """Take away what waits."""
    await connection.execute("DELETE FROM inbox WHERE done_at IS NULL")


def _alone(world: World, name: str) -> Accepted:
    customer = world.customers - 1
    product = world.product(world.partner_of(customer), 0)
    return Accepted(uuid4(), "bench", datetime.now(UTC), [_lead(name, world.customer(customer), product)])


def _lead(name: str, customer: str, product: str) -> Lead:
    return Lead(0, "", name, customer, product, "Referral", None, None, [LeadAction("Click", "Low", _INSTANT)])
