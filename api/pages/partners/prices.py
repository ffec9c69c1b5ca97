"""The prices of a partner: the rules that count for it, and a new one with its effect shown before it is set."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner
from api.pages.forms import Act, Form, submitted
from api.pages.lists import PER_PAGE, beside, link, path_to
from api.pages.partners.heading import heading_of
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.routes.rate_cards import create_rate, end_rate
from api.routing import Route
from api.schemas.rate_cards import RateIn, rate_out_from_stored_rate
from api.state import state_of
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text
from db.ledger import rate_preview
from db.masters import rates
from db.tasks import records
from db.tasks.records import Task

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/prices")
_SET = requires(Permission.PRICING)


class Typed(BaseModel):
    """A price as it is typed, each field empty where nothing is."""

    product: str = ""
    lead_type: str = ""
    action_type: str = ""
    engagement_level: str = ""
    amount: str = ""
    effective_from: str = ""


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_prices(
    request: Request,
    partner: str,
    typed: Annotated[Typed, Depends()],
    preview: str = "",
    after: After = None,
) -> Response:
    """The rules in force; with `preview`, the task that computed what a price would change."""
    form = Form({name: [text] for name, text in typed.model_dump().items()} if preview else {})
    return await _show(request, form, partner, preview, after)


@router.post("", dependencies=[_SET])
async def set_price_here(request: Request, partner: str) -> Response:
    """Compute what a price would change; set it once that was shown for this very price."""

    async def act(form: Form) -> Response:
        typed = {name: form.value(name).strip() for name in Typed.model_fields}
        sent: dict[str, Any] = {**typed, "partner": partner, "amount": form.amount("amount") or None}
        body, path = form.read_as(RateIn, sent), path_to("partners", partner, "prices")
        if form.value("shown") != link("", typed):
            started = await create_rate(request, body, dry_run=True)
            return led_to(request, link(path, {"preview": started.headers["location"].rpartition("/")[2], **typed}))
        await create_rate(request, body)
        return led_to(request, path, "The price is set; open actions are priced again.")

    return await _submitted(request, partner, act)


@router.post("/{rule_id}/end", dependencies=[_SET])
async def end_price_here(request: Request, partner: str, rule_id: int) -> Response:
    """End a rule of the partner."""

    async def act(form: Form) -> Response:
        await end_rate(request, rule_id)
        said = "The price has ended; open actions are priced again."
        return led_to(request, path_to("partners", partner, "prices"), said)

    return await _submitted(request, partner, act)


async def _submitted(request: Request, partner: str, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, partner, "", None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, partner: str, preview: str, after: str | None) -> Response:
    state, within = state_of(request), own_partner(request)
    async with transaction(state.engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        partner_id = heading.partner.id
        place = place_from_cursor(after, int) or 0
        found = await rates.read_page(connection, after=place, limit=PER_PAGE, partner_id=partner_id)
        calendar = (await state.policies.load(connection, [partner_id]))[partner_id].calendar
        task = await _preview(connection, preview) if within is None else None
    following = cursor_from_place(found[-1].id) if len(found) == PER_PAGE else None
    return page(
        request,
        "partners/prices.html",
        status=form.status,
        form=form,
        heading=heading,
        language=heading.language,
        rules=[(each, rate_out_from_stored_rate(each, calendar)["counts"]) for each in found],
        may_set=caller_of(request).may(Permission.PRICING),
        task=task,
        shown=link("", {name: form.value(name) for name in Typed.model_fields}) if task and task.result else "",
        links=beside(request, {}, following),
    )


async def _preview(connection: asyncpg.Connection, text: str) -> Task | None:
    """The task of a preview; None for whatever is no such task."""
    task_id: UUID | None = uuid_from_text(text)
    task = await records.read(connection, task_id) if task_id else None
    return task if task and task.kind == rate_preview.KIND else None
