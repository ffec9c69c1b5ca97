"""API keys: made, rotated, revoked; a secret is shown once."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.forms import Form, submitted
from api.pages.rendering import led_to, page
from api.problems import FieldError, Problem
from api.routes import keys as routes
from api.routing import Route
from api.schemas.fields import UuidPath
from api.state import state_of
from db.access import api_keys
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/keys", dependencies=[requires(Permission.ADMIN)]
)

_WHAT_SCOPES_DO = {
    Permission.INGEST: "sends leads",
    Permission.READ: "reads leads, reports and bills",
    Permission.BILL: "makes and issues bills, enters payments",
    Permission.PRICING: "changes prices and terms",
    Permission.METRICS: "reads the metrics",
    Permission.ADMIN: "may do everything",
}


@router.get("")
async def show_keys(request: Request) -> Response:
    """All keys without their secrets."""
    return await _show(request, Form())


@router.post("")
async def create_key_here(request: Request) -> Response:
    """Make a key, and show its secret once."""

    async def act(form: Form) -> Response:
        sent: dict[str, Any] = {"name": form.value("name").strip(), "partner": form.value("partner").strip()}
        if not form.all("scopes"):
            raise Problem(400, "Choose a scope.", [FieldError("#/scopes", "are missing: choose one at least")])
        body = form.read_as(routes.KeyIn, sent | {"scopes": list(form.all("scopes"))})
        made = await routes.made_key(request, body, uuid_from_text(form.value("key_id")))
        return led_to(request, "/settings/keys", f"The key “{body.name}” is made:", shown_once=made.secret)

    return await submitted(request, act, _show)


@router.post("/{key_id}/rotate")
async def rotate_key_here(request: Request, key_id: UuidPath) -> Response:
    """Make a key in the place of one, which works on for an hour."""

    async def act(form: Form) -> Response:
        made = await routes.rotated_key(request, key_id, form.read(routes.RotationIn))
        said = "The new key; the old one works for one more hour:"
        return led_to(request, "/settings/keys", said, shown_once=made.secret)

    return await submitted(request, act, _show)


@router.post("/{key_id}/revoke")
async def revoke_key_here(request: Request, key_id: UuidPath) -> Response:
    """End a key at once, if its name was typed."""

    async def act(form: Form) -> Response:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            key = next((key for key in await api_keys.list_all(connection) if key.id == key_id), None)
        if key and form.value("name").strip() != key.name:
            raise Problem(
                400, "The name is another one.", [FieldError("#/name", f"must be {key.name}: nothing is revoked")]
            )
        await routes.revoke_key(request, key_id)
        return led_to(request, "/settings/keys", "The key is revoked.")

    return await submitted(request, act, _show)


async def _show(request: Request, form: Form) -> Response:
    now = datetime.now(UTC)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        keys = await api_keys.list_all(connection)
    valid = [key for key in keys if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)]
    ended = [key for key in keys if key not in valid]
    return page(
        request,
        "settings/keys.html",
        status=form.status,
        form=form,
        keys=valid,
        ended=ended,
        scopes=_WHAT_SCOPES_DO,
        new_id=uuid4(),
    )
