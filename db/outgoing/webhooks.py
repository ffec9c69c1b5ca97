"""Webhooks: who is told of which events, and where. Those of Slack and of runs come from the settings.

Of a secret, which signs every message, only a seed is stored: the secret is its HMAC-SHA256 with LEADGER_WEBHOOK_KEY.
So whoever reads the database and does not know that key cannot sign.
"""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import digest
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

from billing.errors import RuleViolation
from billing.webhooks.destinations import EVERYWHERE, Network, check_url
from billing.webhooks.events import OF_PARTNERS, Event
from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork

_SEED_BYTES = 32
_CONFIGURED = {
    "slack": (Event.BILL_PENDING, Event.RUN_FINISHED),
    "runs": (Event.RUN_FINISHED,),
}
"""What the webhooks tell that settings name."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook without its secret; `failures` are those in a row, since `failing_since`."""

    id: UUID
    url: str
    events: tuple[str, ...]
    partner: str | None
    created_at: datetime
    failures: int
    failing_since: datetime | None
    disabled_at: datetime | None


def secret_from_seed(seed: bytes, webhook_key: str) -> str:
    """The secret of a webhook as Standard Webhooks write it."""
    return f"whsec_{b64encode(digest(webhook_key.encode(), seed, sha256)).decode()}"


async def create(
    uow: UnitOfWork,
    settings: Settings,
    url: str,
    events: Sequence[Event],
    partner_id: UUID | None = None,
    *,
    webhook_id: UUID | None = None,
) -> tuple[UUID, str]:
    """Make a webhook; returns its id, which whoever asks may choose, and its secret, which is shown nowhere else.

    InvalidValue for a URL where none may go, RuleViolation for events that a webhook of a partner may not tell, and for
    an id that a webhook has.
    """
    check_url(url, settings.own_networks)
    if partner_id and (others := sorted(set(events) - OF_PARTNERS)):
        raise RuleViolation(
            f"A webhook of a partner tells {', '.join(sorted(OF_PARTNERS))}, and not {', '.join(others)}."
        )
    webhook_id, seed = webhook_id or uuid4(), secrets.token_bytes(_SEED_BYTES)
    status: str = await uow.connection.execute(
        """
        INSERT INTO webhooks (id, url, events, partner_id, seed) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING
        """,
        webhook_id,
        url,
        sorted(set(events)),
        partner_id,
        seed,
    )
    if status.endswith(" 0"):
        raise RuleViolation(
            "This webhook is made already, and its secret was shown then; if you missed it, make another secret."
        )
    facts = {"host": urlsplit(url).hostname, "events": events, "partner_id": partner_id}
    await uow.audit("webhook.created", webhook_id, after=facts)
    return webhook_id, secret_from_seed(seed, settings.webhook_key)


async def list_all(connection: asyncpg.Connection) -> list[Webhook]:
    """All webhooks that people made, the newest first."""
    return await _read(connection, None)


async def read(connection: asyncpg.Connection, webhook_id: UUID) -> Webhook | None:
    """A webhook that somebody made; None if there is none."""
    found = await _read(connection, webhook_id)
    return found[0] if found else None


async def _read(connection: asyncpg.Connection, only: UUID | None) -> list[Webhook]:
    rows = await connection.fetch(
        """
        SELECT webhooks.id, url, events, external_id AS partner, webhooks.created_at, failures, failing_since,
            disabled_at
        FROM webhooks LEFT JOIN partners ON partners.id = partner_id
        WHERE kind = 'webhook' AND ($1::uuid IS NULL OR webhooks.id = $1)
        ORDER BY webhooks.created_at DESC, webhooks.id
        """,
        only,
    )
    return [Webhook(**{**row, "events": tuple(row["events"])}) for row in rows]


async def rotate(uow: UnitOfWork, settings: Settings, webhook_id: UUID, overlap: timedelta) -> str | None:
    """Give a webhook another secret, which is returned; for the overlap, messages are signed with the old one, too.

    None if there is no such webhook.
    """
    seed = secrets.token_bytes(_SEED_BYTES)
    changed = await uow.connection.fetchval(
        """
        UPDATE webhooks SET seed = $2, former_seed = seed, former_until = clock_timestamp() + $3
        WHERE id = $1 AND kind = 'webhook' RETURNING true
        """,
        webhook_id,
        seed,
        overlap,
    )
    if not changed:
        return None
    await uow.audit("webhook.rotated", webhook_id, after={"overlap_s": overlap.total_seconds()})
    return secret_from_seed(seed, settings.webhook_key)


async def enable(uow: UnitOfWork, webhook_id: UUID) -> bool:
    """Let a webhook be tried again now, whatever failed before; False if there is no such webhook."""
    row = await uow.connection.fetchrow(
        """
        UPDATE webhooks SET failures = 0, failing_since = NULL, rests_until = NULL, disabled_at = NULL
        FROM (SELECT id, disabled_at FROM webhooks WHERE id = $1) AS before
        WHERE webhooks.id = before.id AND kind = 'webhook' RETURNING before.disabled_at
        """,
        webhook_id,
    )
    if row is None:
        return False
    await uow.audit("webhook.enabled", webhook_id, before={"disabled_at": row["disabled_at"]})
    return True


async def remove(uow: UnitOfWork, webhook_id: UUID) -> bool:
    """Remove a webhook: what waits for it is not sent; False if there is none. Its log goes with the retention."""
    url = await uow.connection.fetchval(
        "DELETE FROM webhooks WHERE id = $1 AND kind = 'webhook' RETURNING url", webhook_id
    )
    if url is None:
        return False
    await uow.audit("webhook.removed", webhook_id, before={"host": urlsplit(url).hostname})
    return True


async def keep_configured(connection: asyncpg.Connection, settings: Settings) -> None:
    """Let there be the webhooks that the settings name, and no others of their kinds."""
    named = [kind for kind in _CONFIGURED if configured_url(settings, kind)]
    rows = await connection.fetch("SELECT kind FROM webhooks WHERE kind <> 'webhook'")
    if sorted(named) == sorted(row["kind"] for row in rows):
        return
    await connection.execute("DELETE FROM webhooks WHERE kind <> 'webhook' AND kind <> ALL($1::text[])", named)
    for kind in named:
        await connection.execute(
            "INSERT INTO webhooks (id, kind, events) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            uuid4(),
            kind,
            list(_CONFIGURED[kind]),
        )


def configured_url(settings: Settings, kind: str) -> str:
    """The URL that the settings name for a kind; empty if they do not."""
    return {"slack": settings.slack_webhook_url, "runs": settings.billing_notification_webhook_url}[kind]


def allowed_networks(settings: Settings, kind: str) -> Sequence[Network]:
    """Where a webhook may go beside public addresses: what settings name is trusted, like a mail server."""
    return settings.own_networks if kind == "webhook" else EVERYWHERE
