"""What if: what other prices, another cap or another window would have billed, before anybody decides."""

from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import sees_people
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside
from api.pages.rendering import led_to, page, words_of
from api.pages.supposed_in_words import supposed_in_words
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.what_if import cancel_what_if, start_what_if
from api.routing import Route
from api.schemas.fields import UuidPath
from api.schemas.what_if import WhatIfIn
from api.state import state_of
from billing.what_if import Supposed
from db.core.engine import transaction
from db.ledger import what_if, what_if_results
from db.masters import names
from db.masters.names import Called
from db.tasks import records

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/what-if")
_FINANCE = requires(Permission.BILL, or_else=Permission.PRICING)
_RATE = "rates."
_OF_RATE = ("product", "lead_type", "action_type", "engagement_level", "amount")


@router.get("", dependencies=[_FINANCE])
async def show_what_if(request: Request) -> Response:
    """The form."""
    return await _show(request, Form())


@router.post("", dependencies=[_FINANCE])
async def start_what_if_here(request: Request) -> Response:
    """Start to judge real history by other settings; nothing is changed."""

    async def act(form: Form) -> Response:
        started = await start_what_if(request, form.read_as(WhatIfIn, _sent(form)))
        return led_to(request, f"/what-if/{started.headers['location'].rpartition('/')[2]}")

    return await submitted(request, act, _show)


@router.get("/{task_id}", dependencies=[_FINANCE])
async def show_what_if_result(request: Request, task_id: UuidPath, after: After = None) -> Response:
    """How far it is; once it is done, the differences by partner, month and customer."""
    place = place_from_cursor(after, int) or 0
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
        if task is None or task.kind != what_if.KIND:
            raise Problem(404, f"There is no what-if {task_id}.")
        found = await what_if_results.page(connection, task_id, after=place, limit=PER_PAGE)
        supposed = msgspec.convert(task.arguments["supposed"], Supposed)
        partner_ids = [UUID(each) for each in task.arguments["partners"]]
        called = await _called(connection, partner_ids, supposed)
    following = cursor_from_place(found[-1].position) if len(found) == PER_PAGE else None
    currencies = {each["currency"] for each in task.result["sums"]} if task.result else set()
    return page(
        request,
        "what_if_result.html",
        task=task,
        supposed=supposed_in_words(
            supposed,
            {each: it.name for each, it in called.items()},
            words_of(request, ""),
            currencies.pop() if len(currencies) == 1 else "",
        ),
        partners={called[each].external_id: (each, called[each].name) for each in partner_ids},
        found=found,
        people=sees_people(request),
        links=beside(request, {}, following),
    )


@router.post("/{task_id}/cancel", dependencies=[_FINANCE])
async def cancel_what_if_here(request: Request, task_id: UuidPath) -> Response:
    """Cancel one that has not ended."""

    async def act(form: Form) -> Response:
        await cancel_what_if(request, task_id)
        return led_to(request, f"/what-if/{task_id}")

    return await submitted(request, act, _show)


async def _show(request: Request, form: Form) -> Response:
    return page(request, "what_if.html", status=form.status, form=form)


async def _called(connection: asyncpg.Connection, partner_ids: list[UUID], supposed: Supposed) -> dict[UUID, Called]:
    """How the partners looked at are called, and what the prices name."""
    named = {each for rate in supposed.rates for each in rate.conditions if isinstance(each, UUID)}
    return await names.of_partners_and_products(connection, named.union(partner_ids))


def _sent(form: Form) -> dict[str, Any]:
    """What is supposed, as the API takes it."""
    sent: dict[str, Any] = {name: form.value(name).strip() for name in ("from", "to", "dedup_window")}
    if partners := form.value("partners").replace(",", " ").split():
        sent["partners"] = partners
    if form.value("cap_is") == "none":
        sent["cap"] = None
    elif form.value("cap_is") == "other":
        sent["cap"] = form.amount("cap") or "missing"
    rate = {name: form.value(_RATE + name).strip() for name in _OF_RATE} | {"amount": form.amount(f"{_RATE}amount")}
    if any(rate.values()):
        # A price that names nothing gives way to the prices of levels, so it names the partner, as on its own page.
        named = [{}] if rate["product"] else [{"partner": each} for each in partners]
        sent["rates"] = [each | {name: text for name, text in rate.items() if text} for each in named]
    return sent
