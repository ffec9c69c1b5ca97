"""Deliveries: one message for one webhook, the attempts to send it, and what follows from how each ends."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.webhooks.events import TEST
from billing.webhooks.schedule import is_disabled, next_attempt, rest
from db.core.unit_of_work import UnitOfWork
from db.outgoing import events
from db.outgoing.events import Subscriber
from db.telemetry import counters

DELIVERED, FAILED = "deliveries_delivered", "deliveries_failed"
"""Counters of attempts for the metrics."""

SHORTEST_RETENTION_DAYS = 7
"""Longer than any message is tried."""

GONE = 410
"""The answer by which a receiver says that it wants no more."""

_MOST_GATHERED = 50
"""Of messages for a chat, so many at most are one."""


@dataclass(frozen=True, slots=True)
class Due:
    """A webhook for which something waits that may be sent now."""

    id: UUID
    kind: str
    url: str | None
    seed: bytes | None
    former_seed: bytes | None
    """While messages are signed with it, too."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for a webhook, tried so many times; `message_id` stays the same on every try."""

    id: int
    message_id: UUID
    event: str
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a message once: the status and the first bytes of the answer, or an error of ours."""

    at: datetime
    duration_ms: int
    status: int | None = None
    answer: str | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it: any status from 200 to 299."""
        return self.error is None and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery with its attempts, the oldest first."""

    id: int
    message_id: UUID
    event: str
    body: dict[str, Any]
    state: str
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: tuple[Attempt, ...]


_DUE = """
    FROM webhooks WHERE disabled_at IS NULL AND (rests_until IS NULL OR rests_until <= clock_timestamp())
        AND EXISTS (
            SELECT FROM deliveries
            WHERE webhook_id = webhooks.id AND state = 'waiting' AND next_attempt_at <= clock_timestamp()
        )
"""


async def are_due(connection: asyncpg.Connection) -> bool:
    """Whether anything may be sent now."""
    found: bool = await connection.fetchval(f"SELECT EXISTS (SELECT {_DUE})")
    return found


async def due_webhooks(connection: asyncpg.Connection, but: Collection[UUID], most: int) -> list[Due]:
    """Webhooks for which something may be sent now, but some of them; in no order, so that none is always first."""
    rows = await connection.fetch(
        f"""
        SELECT id, kind, url, seed, CASE WHEN former_until > clock_timestamp() THEN former_seed END AS former_seed
        {_DUE} AND id <> ALL($1::uuid[]) ORDER BY random() LIMIT $2
        """,
        list(but),
        most,
    )
    return [Due(**row) for row in rows]


async def due(connection: asyncpg.Connection, webhook: Due, most: int) -> list[Delivery]:
    """What may be sent to a webhook now, the oldest first; to a chat all that waits, as one message."""
    gathers = webhook.kind == "slack"
    rows = await connection.fetch(
        """
        SELECT deliveries.id, message_id, event, body, attempts
        FROM deliveries JOIN outgoing_messages ON outgoing_messages.id = message_id
        WHERE webhook_id = $1 AND state = 'waiting' AND ($3 OR next_attempt_at <= clock_timestamp())
        ORDER BY next_attempt_at, deliveries.id LIMIT $2
        """,
        webhook.id,
        _MOST_GATHERED if gathers else most,
        gathers,
    )
    return [Delivery(**row) for row in rows]


async def record(uow: UnitOfWork, webhook: Due, deliveries: Sequence[Delivery], attempt: Attempt) -> None:
    """Store what came of an attempt, and when the next one follows; a webhook that failed for too long is disabled."""
    connection = uow.connection
    for delivery in deliveries:
        again = None if attempt.is_delivered else next_attempt(delivery.attempts + 1, attempt.at)
        await connection.execute(
            "UPDATE deliveries SET state = $2, attempts = attempts + 1, next_attempt_at = $3 WHERE id = $1",
            delivery.id,
            "delivered" if attempt.is_delivered else "waiting" if again else "failed",
            again,
        )
    await connection.execute(
        """
        INSERT INTO delivery_attempts (delivery_id, number, at, duration_ms, status, answer, error)
        SELECT id, 1 + (SELECT count(*) FROM delivery_attempts WHERE delivery_id = id), $2, $3, $4, $5, $6
        FROM deliveries WHERE id = ANY($1::bigint[])
        """,
        [delivery.id for delivery in deliveries],
        attempt.at,
        attempt.duration_ms,
        attempt.status,
        attempt.answer,
        attempt.error,
    )
    if attempt.is_delivered:
        await connection.execute(
            "UPDATE webhooks SET failures = 0, failing_since = NULL, rests_until = NULL WHERE id = $1 AND failures > 0",
            webhook.id,
        )
    else:
        await _record_failure(uow, webhook, attempt)
    await counters.add(connection, {DELIVERED if attempt.is_delivered else FAILED: len(deliveries)})


async def _record_failure(uow: UnitOfWork, webhook: Due, attempt: Attempt) -> None:
    row = await uow.connection.fetchrow(
        """
        UPDATE webhooks SET failures = failures + 1, failing_since = coalesce(failing_since, $2)
        WHERE id = $1 AND disabled_at IS NULL RETURNING failures, failing_since
        """,
        webhook.id,
        attempt.at,
    )
    if row is None:  # it was removed or disabled meanwhile
        return
    # One that the settings name is ended by them.
    if webhook.kind == "webhook" and (attempt.status == GONE or is_disabled(row["failing_since"], attempt.at)):
        await uow.connection.execute("UPDATE webhooks SET disabled_at = $2 WHERE id = $1", webhook.id, attempt.at)
        facts = {"failing_since": row["failing_since"], "failures": row["failures"], "status": attempt.status}
        await uow.audit("webhook.disabled", webhook.id, after=facts)
    else:
        rests_until = attempt.at + rest(row["failures"])
        await uow.connection.execute("UPDATE webhooks SET rests_until = $2 WHERE id = $1", webhook.id, rests_until)


async def page(
    connection: asyncpg.Connection, webhook_id: UUID, *, state: str | None, before: int | None, limit: int
) -> list[Logged]:
    """Deliveries of a webhook, the newest first."""
    rows = await connection.fetch(
        """
        SELECT deliveries.id, message_id, event, body, state, created_at, next_attempt_at
        FROM deliveries JOIN outgoing_messages ON outgoing_messages.id = message_id
        WHERE webhook_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::bigint IS NULL OR deliveries.id < $3)
        ORDER BY deliveries.id DESC LIMIT $4
        """,
        webhook_id,
        state,
        before,
        limit,
    )
    attempts: dict[int, list[Attempt]] = {row["id"]: [] for row in rows}
    for row in await connection.fetch(
        """
        SELECT delivery_id, at, duration_ms, status, answer, error FROM delivery_attempts
        WHERE delivery_id = ANY($1::bigint[]) ORDER BY delivery_id, number
        """,
        list(attempts),
    ):
        delivery_id, *made = row
        attempts[delivery_id].append(Attempt(*made))
    return [
        Logged(**{**row, "body": msgspec.json.decode(row["body"]), "attempts": tuple(attempts[row["id"]])})
        for row in rows
    ]


async def redeliver(uow: UnitOfWork, webhook_id: UUID, delivery_id: int) -> bool:
    """Send a message again from the start of the schedule, with the same id; False if there is no such delivery."""
    changed = await uow.connection.fetchval(
        """
        UPDATE deliveries SET state = 'waiting', attempts = 0, next_attempt_at = clock_timestamp()
        WHERE id = $1 AND webhook_id = $2 RETURNING message_id
        """,
        delivery_id,
        webhook_id,
    )
    if changed is None:
        return False
    await uow.audit("webhook.redelivered", webhook_id, after={"delivery_id": delivery_id, "message_id": changed})
    return True


async def send_test(uow: UnitOfWork, webhook_id: UUID) -> None:
    """Send a webhook a message that tells of nothing."""
    await events.write(uow.connection, TEST, [({}, None)], [Subscriber(webhook_id, None)])
    await uow.audit("webhook.tested", webhook_id)


async def delete_old(connection: asyncpg.Connection, older_than_days: int, most: int) -> int:
    """Delete messages that are older, with the log of their deliveries; returns how many messages."""
    status: str = await connection.execute(
        """
        DELETE FROM outgoing_messages WHERE id IN (
            SELECT id FROM outgoing_messages WHERE created_at < clock_timestamp() - make_interval(days => $1)
            ORDER BY created_at LIMIT $2
        )
        """,
        max(older_than_days, SHORTEST_RETENTION_DAYS),
        most,
    )
    return int(status.removeprefix("DELETE "))
