"""Sending what waits for webhooks: one process at a time, a few messages at a time to each webhook.

A webhook that is slow holds up nobody else: it has a place of its own until its answer comes or its time is up.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import msgspec
import structlog
from celery import shared_task

from billing.webhooks.slack import text_of
from db.core import locks
from db.core.engine import autocommit, transaction
from db.core.errors import TRANSIENT
from db.core.settings import Settings
from db.outgoing import deliveries, webhooks
from db.outgoing.deliveries import Attempt, Delivery, Due
from db.outgoing.sending import Resolve, client, lookup, post, signed_headers
from db.outgoing.webhooks import allowed_networks, configured_url, secret_from_seed
from db.tasks.notifications import SEND_TO_WEBHOOKS
from worker import process
from worker.follow_up import follow_up
from worker.runtime import Runtime

log = structlog.get_logger()

TIME_SLICE_S = 5.0
"""No message is begun later; then other background tasks have their turn."""

MOST_WEBHOOKS = 20
MOST_PER_WEBHOOK = 4
"""So many are sent to at a time, and so many messages to each."""

_LOOK_AGAIN_S = 0.5


@shared_task(name=SEND_TO_WEBHOOKS, bind=True)
def send_to_webhooks(self: Any) -> None:
    """Send what is due, for one time slice per message."""
    if process.run(send_due):
        follow_up(self.request, SEND_TO_WEBHOOKS)


async def announce_due_deliveries(runtime: Runtime) -> None:
    """Have sent what is due; the webhooks that the settings name are there from the first time on."""
    async with runtime.unit_of_work() as uow:
        await webhooks.keep_configured(uow.connection, runtime.settings)
        if await deliveries.are_due(uow.connection):
            uow.notify(SEND_TO_WEBHOOKS)


async def send_due(runtime: Runtime, resolve: Resolve = lookup) -> bool:
    """Send what is due for one time slice; True if more is. Does nothing while another process does."""
    async with _deliveries_lock(runtime) as is_locked:
        return is_locked and await _send_for(TIME_SLICE_S, runtime, resolve)


async def _send_for(seconds: float, runtime: Runtime, resolve: Resolve) -> bool:
    """Begin to send for so long, and wait for what was begun; True if more may be due."""
    slice_ends = time.monotonic() + seconds
    running: dict[asyncio.Task[None], Due] = {}
    async with client() as sender, asyncio.TaskGroup() as group:
        while time.monotonic() < slice_ends:
            async with transaction(runtime.engine, readonly=True) as connection:
                busy = {webhook.id for webhook in running.values()}
                found = await deliveries.due_webhooks(connection, busy, MOST_WEBHOOKS - len(running))
            for webhook in found:
                running[group.create_task(_send_some(runtime, sender, webhook, resolve))] = webhook
            if not running:
                return False
            done, _ = await asyncio.wait(running, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del running[task]
    return True


async def _send_some(runtime: Runtime, sender: httpx.AsyncClient, webhook: Due, resolve: Resolve) -> None:
    """Send a few messages to a webhook, at the same time; to Slack they are one."""
    async with transaction(runtime.engine, readonly=True) as connection:
        found = await deliveries.due(connection, webhook, MOST_PER_WEBHOOK)
    groups = [found] if webhook.kind == "slack" else [[delivery] for delivery in found]
    async with asyncio.TaskGroup() as group:
        for each in filter(None, groups):
            group.create_task(_send(runtime, sender, webhook, each, resolve))


async def _send(
    runtime: Runtime, sender: httpx.AsyncClient, webhook: Due, sent: list[Delivery], resolve: Resolve
) -> None:
    url, body, secrets = _request(runtime.settings, webhook, sent)
    headers = signed_headers(sent[0].message_id, body, secrets)
    attempt = await post(sender, url, body, headers, allowed_networks(runtime.settings, webhook.kind), resolve)
    with suppress(*TRANSIENT):  # what is not on record is sent again, with the same id
        async with runtime.unit_of_work() as uow:
            await deliveries.record(uow, webhook, sent, attempt)
    _log(webhook, sent, attempt)


def _request(settings: Settings, webhook: Due, sent: list[Delivery]) -> tuple[str, str, list[str]]:
    """The URL, the body and the secrets to sign it with."""
    if webhook.kind == "slack":
        messages = [(delivery.event, msgspec.json.decode(delivery.body)["data"]) for delivery in sent]
        text = text_of(messages, settings.api_base_url)
        return configured_url(settings, "slack"), msgspec.json.encode({"text": text}).decode(), []
    url = webhook.url or configured_url(settings, webhook.kind)
    seeds = [seed for seed in (webhook.seed, webhook.former_seed) if seed]
    return url, sent[0].body, [secret_from_seed(seed, settings.webhook_key) for seed in seeds]


def _log(webhook: Due, sent: list[Delivery], attempt: Attempt) -> None:
    fields = {
        "webhook_id": str(webhook.id),
        "message_ids": [str(delivery.message_id) for delivery in sent],
        "status": attempt.status,
        "duration_ms": attempt.duration_ms,
    }
    if attempt.is_delivered:
        log.info("webhook_delivered", **fields)
    else:
        log.warning("webhook_failed", **fields, error=attempt.error)


@asynccontextmanager
async def _deliveries_lock(runtime: Runtime) -> AsyncIterator[bool]:
    """Whether this process is the one that sends, until the end of the block."""
    async with autocommit(runtime.engine) as connection:
        is_locked = await locks.try_lock_deliveries(connection)
        try:
            yield is_locked
        finally:
            if is_locked and not connection.is_closed():
                await locks.unlock_deliveries(connection)
