"""Telling of what happened: messages are written in the transaction of their cause.

So none is lost, and none tells of what did not happen. The sweeper finds them and has them sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from billing.webhooks.events import Event

_GATHERED_S = 30.0
"""So long a chat message waits for others of its kind, so that many bills at once are one message."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A webhook that asked for an event: of one partner, or of all."""

    webhook_id: UUID
    partner_id: UUID | None


async def subscribers(connection: asyncpg.Connection, event: Event) -> list[Subscriber]:
    """The webhooks that asked for an event and are not disabled."""
    rows = await connection.fetch(
        "SELECT id, partner_id FROM webhooks WHERE disabled_at IS NULL AND $1 = ANY(events)", event
    )
    return [Subscriber(row["id"], row["partner_id"]) for row in rows]


async def tell(
    connection: asyncpg.Connection, event: Event, data: Mapping[str, Any], partner_id: UUID | None = None
) -> None:
    """Tell those who asked for it of an event, which may be about one partner; `data` is what JSON can say."""
    if found := await subscribers(connection, event):
        await write(connection, event, [(data, partner_id)], found)


async def write(
    connection: asyncpg.Connection,
    event: str,
    told: Sequence[tuple[Mapping[str, Any], UUID | None]],
    to: Sequence[Subscriber],
) -> None:
    """Write messages, each with the partner that it is about, for the webhooks that may hear of that partner."""
    messages, pairs = [], []
    for data, partner_id in told:
        heard_by = [each.webhook_id for each in to if each.partner_id in (None, partner_id)]
        if heard_by:
            message_id = uuid4()
            messages.append((message_id, _body(event, data)))
            pairs += [(message_id, webhook_id) for webhook_id in heard_by]
    if not messages:
        return
    await connection.execute(
        """
        WITH message AS (
            INSERT INTO outgoing_messages (id, event, body)
            SELECT id, $1, body FROM unnest($2::uuid[], $3::text[]) AS new (id, body)
        )
        INSERT INTO deliveries (message_id, webhook_id, next_attempt_at)
        SELECT message_id, webhook_id, clock_timestamp() + CASE kind WHEN 'slack' THEN $6 ELSE '0' END::interval
        FROM unnest($4::uuid[], $5::uuid[]) AS new (message_id, webhook_id) JOIN webhooks ON webhooks.id = webhook_id
        """,
        event,
        [message_id for message_id, _ in messages],
        [body for _, body in messages],
        [message_id for message_id, _ in pairs],
        [webhook_id for _, webhook_id in pairs],
        f"{_GATHERED_S} s",
    )


def _body(event: str, data: Mapping[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": event, "timestamp": now, "data": data}).decode()
