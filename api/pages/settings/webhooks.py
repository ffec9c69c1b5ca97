"""Webhooks: who is told of what, what was sent to each, and sending it again."""

from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.forms import Act, Form, submitted
from api.pages.lists import PER_PAGE, beside
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes import webhooks as routes
from api.routing import Route
from api.schemas.fields import UuidPath
from api.state import state_of
from billing.webhooks.events import Event
from db.core.engine import transaction
from db.core.row_keys import partner_uuid, uuid_from_text
from db.masters import partners
from db.outgoing import deliveries, webhooks

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/webhooks", dependencies=[requires(Permission.ADMIN)]
)

_WHAT_EVENTS_TELL = {
    Event.LEAD_QUARANTINED: "leads went into quarantine",
    Event.REPORT_READY: "the report of a closed month was written",
    Event.BILL_PENDING: "a bill waits for approval",
    Event.BILL_APPROVED: "a bill has every approval it needs",
    Event.BILL_REJECTED: "somebody rejected a bill",
    Event.BILL_ISSUED: "a bill has its number",
    Event.BILL_PAID: "nothing of a bill is open any more",
    Event.RUN_FINISHED: "a monthly run has ended",
}


@router.get("")
async def show_webhooks(request: Request) -> Response:
    """All webhooks without their secrets."""
    return await _show_all(request, Form())


@router.post("")
async def create_webhook_here(request: Request) -> Response:
    """Make a webhook, and show its secret once."""

    async def act(form: Form) -> Response:
        if not form.all("events"):
            raise Problem(400, "Choose an event.", [FieldError("#/events", "are missing: choose one at least")])
        sent: dict[str, Any] = {name: form.value(name).strip() for name in ("url", "partner")}
        body = form.read_as(routes.WebhookIn, sent | {"events": list(form.all("events"))})
        made, secret = await routes.made_webhook(request, body, uuid_from_text(form.value("webhook_id")))
        said = "The webhook is made. Its messages are signed with this secret:"
        return led_to(request, f"/settings/webhooks/{made.id}", said, shown_once=secret)

    return await submitted(request, act, _show_all)


@router.get("/{webhook_id}")
async def show_webhook(request: Request, webhook_id: UuidPath, after: After = None) -> Response:
    """One webhook, and what was sent to it, the newest first."""
    return await _show(request, Form(), webhook_id, after)


@router.post("/{webhook_id}/act")
async def act_on_webhook_here(request: Request, webhook_id: UuidPath) -> Response:
    """Send a test, let it be tried again, or give it another secret."""

    async def act(form: Form) -> Response:
        path = f"/settings/webhooks/{webhook_id}"
        match form.value("do"):
            case "test":
                await routes.test_webhook(request, webhook_id)
                return led_to(request, path, "A test is on its way; the list shows what comes of it.")
            case "enable":
                await routes.enable_webhook(request, webhook_id)
                return led_to(request, path, "It is tried again now.")
            case "rotate":
                secret = await routes.rotated_secret(request, webhook_id, form.read(routes.SecretIn))
                said = "The new secret; for a day, messages are signed with the old one, too:"
                return led_to(request, path, said, shown_once=secret)
        raise Problem(400, "Choose what to do with the webhook.")

    return await _submitted(request, webhook_id, act)


@router.post("/{webhook_id}/remove")
async def remove_webhook_here(request: Request, webhook_id: UuidPath) -> Response:
    """Remove a webhook, if its URL was typed; what waits for it is not sent."""

    async def act(form: Form) -> Response:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            webhook = await routes.known_webhook(connection, webhook_id)
        if form.value("url").strip() != webhook.url:
            wrong = [FieldError("#/url", f"must be {webhook.url}: nothing is removed")]
            raise Problem(400, "The URL is another one.", wrong)
        await routes.remove_webhook(request, webhook_id)
        return led_to(request, "/settings/webhooks", "The webhook is removed.")

    return await _submitted(request, webhook_id, act)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver")
async def redeliver_here(request: Request, webhook_id: UuidPath, delivery_id: routes.DeliveryPath) -> Response:
    """Send a message again, with the same id."""

    async def act(form: Form) -> Response:
        await routes.redeliver(request, webhook_id, delivery_id)
        return led_to(request, f"/settings/webhooks/{webhook_id}", "The message is sent again, with the same id.")

    return await _submitted(request, webhook_id, act)


async def _submitted(request: Request, webhook_id: UUID, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, webhook_id, None)

    return await submitted(request, act, show)


async def _show_all(request: Request, form: Form) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await webhooks.list_all(connection)
    return page(
        request,
        "settings/webhooks.html",
        status=form.status,
        form=form,
        webhooks=found,
        events=_WHAT_EVENTS_TELL,
        new_id=uuid4(),
    )


async def _show(request: Request, form: Form, webhook_id: UUID, after: str | None) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        webhook = await routes.known_webhook(connection, webhook_id)
        place = place_from_cursor(after, int)
        found = await deliveries.page(connection, webhook_id, state=None, before=place, limit=PER_PAGE)
        about = {each.id: partner_uuid(each.body["data"].get("partner") or "") for each in found}
        of_webhook = partner_uuid(webhook.partner or "")
        zones = await partners.zones(connection, {of_webhook, *about.values()})
    following = cursor_from_place(found[-1].id) if len(found) == PER_PAGE else None
    links = beside(request, {}, following)
    return page(
        request,
        "settings/webhook.html",
        status=form.status,
        form=form,
        webhook=webhook,
        zone=zones.get(of_webhook, "UTC"),
        deliveries=[(each, zones.get(about[each.id], "UTC")) for each in found],
        links=links,
    )
