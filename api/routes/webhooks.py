"""Webhooks: who is told of what, what was sent to them, and sending it again."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StrictInt

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Id, UuidPath
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from billing.errors import InvalidValue
from billing.webhooks.destinations import LONGEST_URL
from billing.webhooks.events import Event
from db.core.engine import transaction
from db.outgoing import deliveries, webhooks
from db.outgoing.deliveries import Logged
from db.outgoing.webhooks import Webhook

router = APIRouter(
    route_class=Route, prefix="/api/webhooks", tags=["webhooks"], dependencies=[requires(Permission.ADMIN)]
)

State = Literal["waiting", "delivered", "failed"]
DeliveryPath = Annotated[int, Path(ge=1, le=2**63 - 1)]


class WebhookIn(Body):
    """A webhook to make; with `partner` it hears of that one only."""

    url: str = Field(max_length=LONGEST_URL)
    events: list[Event] = Field(min_length=1, max_length=len(Event))
    partner: Id | None = None


class SecretIn(Body):
    """How long messages are signed with the old secret, too."""

    overlap_s: StrictInt = Field(24 * 3600, ge=0, le=30 * 24 * 3600)


@router.post("", status_code=201, response_model=answers.NewWebhook)
async def create_webhook(request: Request, body: WebhookIn) -> Response:
    """Make a webhook. The answer is the only place where its secret can be read."""
    made, secret = await made_webhook(request, body)
    return json_response({**_webhook_out(made), "secret": secret}, 201)


async def made_webhook(request: Request, body: WebhookIn, webhook_id: UUID | None = None) -> tuple[Webhook, str]:
    """Make a webhook; it and its secret. RuleViolation if one has the id."""
    settings = state_of(request).settings
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner) if body.partner else None
        try:
            made_id, secret = await webhooks.create(
                uow, settings, body.url, body.events, partner_id, webhook_id=webhook_id
            )
        except InvalidValue as error:
            raise Problem(400, f"The URL {error}.", [FieldError("#/url", str(error))]) from None
        return await known_webhook(uow.connection, made_id), secret


@router.get("", response_model=answers.Page[answers.Webhook])
async def list_webhooks(request: Request) -> Response:
    """All webhooks without their secrets, the newest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await webhooks.list_all(connection)
    return json_response({"items": [_webhook_out(each) for each in found], "next": None})


@router.delete("/{webhook_id}", status_code=204)
async def remove_webhook(request: Request, webhook_id: UuidPath) -> Response:
    """Remove a webhook; what waits for it is not sent."""
    async with unit_of_work(request) as uow:
        if not await webhooks.remove(uow, webhook_id):
            raise _unknown(webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", response_model=answers.NewSecret)
async def rotate_webhook(request: Request, webhook_id: UuidPath, body: SecretIn) -> Response:
    """Give a webhook another secret; for the overlap, messages are signed with the old one, too."""
    secret = await rotated_secret(request, webhook_id, body)
    return json_response({"webhook_id": webhook_id, "secret": secret, "overlap_s": body.overlap_s})


async def rotated_secret(request: Request, webhook_id: UUID, body: SecretIn) -> str:
    """Give a webhook another secret, and return it."""
    async with unit_of_work(request) as uow:
        secret = await webhooks.rotate(uow, state_of(request).settings, webhook_id, timedelta(seconds=body.overlap_s))
    if secret is None:
        raise _unknown(webhook_id)
    return secret


@router.post("/{webhook_id}/enable", response_model=answers.Webhook)
async def enable_webhook(request: Request, webhook_id: UuidPath) -> Response:
    """Let a webhook that failed or was disabled be tried again now; what waits for it goes."""
    async with unit_of_work(request) as uow:
        if not await webhooks.enable(uow, webhook_id):
            raise _unknown(webhook_id)
        enabled = await known_webhook(uow.connection, webhook_id)
    return json_response(_webhook_out(enabled))


@router.post("/{webhook_id}/test", status_code=202, response_model=answers.MessageWritten)
async def test_webhook(request: Request, webhook_id: UuidPath) -> Response:
    """Send a webhook a message of the type `webhook.test`; its deliveries show what came of it."""
    async with unit_of_work(request) as uow:
        await known_webhook(uow.connection, webhook_id)
        await deliveries.send_test(uow, webhook_id)
    return _written(webhook_id)


@router.get("/{webhook_id}/deliveries", response_model=answers.Page[answers.Delivery])
async def list_deliveries(
    request: Request, webhook_id: UuidPath, state: State | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """What was sent to a webhook or waits, the newest first, each with its attempts."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await known_webhook(connection, webhook_id)
        page = await deliveries.page(
            connection, webhook_id, state=state, before=place_from_cursor(after, int), limit=limit
        )
    following = cursor_from_place(page[-1].id) if len(page) == limit else None
    return json_response({"items": [_delivery_out(each) for each in page], "next": following})


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202, response_model=answers.MessageWritten)
async def redeliver(request: Request, webhook_id: UuidPath, delivery_id: DeliveryPath) -> Response:
    """Send a message again, with the same id, from the start of the schedule."""
    async with unit_of_work(request) as uow:
        await known_webhook(uow.connection, webhook_id)
        if not await deliveries.redeliver(uow, webhook_id, delivery_id):
            raise Problem(404, f"There is no delivery {delivery_id} of this webhook.")
    return _written(webhook_id)


async def known_webhook(connection: asyncpg.Connection, webhook_id: UUID) -> Webhook:
    """A webhook; Problem 404 if there is none with this id."""
    found = await webhooks.read(connection, webhook_id)
    if found is None:
        raise _unknown(webhook_id)
    return found


def _unknown(webhook_id: UUID) -> Problem:
    return Problem(404, f"There is no webhook {webhook_id}.")


def _written(webhook_id: UUID) -> Response:
    return json_response({"deliveries_url": f"/api/webhooks/{webhook_id}/deliveries"}, 202)


def _webhook_out(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "partner": webhook.partner,
        "created_at": instant_out(webhook.created_at),
        "failures": webhook.failures,
        "failing_since": instant_out(webhook.failing_since),
        "disabled_at": instant_out(webhook.disabled_at),
    }


def _delivery_out(delivery: Logged) -> dict[str, Any]:
    return {
        "delivery_id": delivery.id,
        "message_id": delivery.message_id,
        "event": delivery.event,
        "body": delivery.body,
        "state": delivery.state,
        "created_at": instant_out(delivery.created_at),
        "next_attempt_at": instant_out(delivery.next_attempt_at),
        "attempts": [
            {
                "at": instant_out(attempt.at),
                "duration_ms": attempt.duration_ms,
                "status": attempt.status,
                "answer": attempt.answer,
                "error": attempt.error,
            }
            for attempt in delivery.attempts
        ],
    }
