"""Held actions: what fraud rules or people hold, what it is worth, and decisions about many at once."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.ids import partner_id_of
from api.pages.exports import ExportKind, exported_list, files_of, money
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, link, month_from_text
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes import held as routes
from api.routing import Route
from api.state import state_of
from api.wire import instant_out
from billing.periods import text_from_period
from db.core.engine import transaction
from db.fraud import held
from db.fraud.held import AtRisk, Held, HeldFilter
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/held")
_Place = tuple[UUID, UUID]
_COLUMNS: dict[str, Callable[[Held], Cell]] = {
    "action_type": lambda each: each.action_type,
    "engagement_level": lambda each: each.engagement_level,
    "lead": lambda each: each.lead,
    "partner": lambda each: each.partner,
    "product": lambda each: each.product,
    "customer_id": lambda each: str(each.customer_id),
    "occurred_at": lambda each: instant_out(each.occurred_at),
    "period": lambda each: text_from_period(each.billing_period),
    "value": lambda each: money(each.value_minor),
    "currency": lambda each: each.currency,
    "held_by": lambda each: each.rule or "a person",
    "score": lambda each: each.score,
    "reason": lambda each: each.reason,
    "held_at": lambda each: instant_out(each.held_at) if each.held_at else None,
    "action_id": lambda each: str(each.action_id),
}


@router.get("", dependencies=[requires(Permission.READ)])
async def show_held(
    request: Request, partner: str = "", period: str = "", rule: str = "", after: After = None
) -> Response:
    """Held actions of all partners or one, of a month, or of a rule."""
    asked = {"partner": partner.strip(), "period": period.strip(), "rule": rule.strip()}
    return await _show(request, Form(), asked, after)


@router.get("/export", dependencies=[requires(Permission.READ)])
async def export_held(
    request: Request, kind: ExportKind = "csv", partner: str = "", period: str = "", rule: str = ""
) -> Response:
    """The same actions as a file, all of them."""
    asked = {"partner": partner.strip(), "period": period.strip(), "rule": rule.strip()}

    async def read(
        connection: asyncpg.Connection, after: _Place | None, limit: int
    ) -> tuple[list[Held], _Place | None]:
        found = await held.page(connection, await _filter(connection, asked), after=after, limit=limit)
        return found, _following(found, limit)

    return await exported_list(request, kind, "held-actions", _COLUMNS, read)


@router.post("", dependencies=[requires(Permission.BILL)])
async def decide_held_here(request: Request) -> Response:
    """Release or confirm the chosen actions, for a reason."""

    async def act(form: Form) -> Response:
        if not form.all("action"):
            raise Problem(400, "Choose the actions first.")
        sent = {name: form.value(name) for name in ("decision", "reason")} | {"actions": list(form.all("action"))}
        results = await routes.decided_actions(request, form.read_as(routes.HeldDecisionIn, sent))
        done = sum(each["status"] == 200 for each in results)
        word = "released" if form.value("decision") == "release" else "confirmed and returned"
        return led_to(request, link("/held", _asked(form)), f"{done} of {len(results)} actions are {word}.")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, _asked(form), None)

    return await submitted(request, act, show)


def _asked(form: Form) -> dict[str, str]:
    """The filter under which a form was shown."""
    return {name: form.value(name) for name in ("partner", "period", "rule")}


async def _show(request: Request, form: Form, asked: dict[str, str], after: str | None) -> Response:
    found: list[Held] = []
    worth: list[AtRisk] = []
    try:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            only = await _filter(connection, asked)
            place = place_from_cursor(after, tuple[UUID, UUID])
            found = await held.page(connection, only, after=place, limit=PER_PAGE)
            worth = await held.at_risk(connection, only)
    except Problem as problem:
        form.refuse(problem)
    following = _following(found, PER_PAGE)
    return page(
        request,
        "held.html",
        status=form.status,
        form=form,
        asked=asked,
        held=found,
        worth=worth,
        may_decide=caller_of(request).may(Permission.BILL),
        links=beside(request, asked, cursor_from_place(following) if following else None),
        files=files_of("/held/export", asked),
    )


async def _filter(connection: asyncpg.Connection, asked: Mapping[str, str]) -> HeldFilter:
    return HeldFilter(
        await partner_id_of(connection, asked["partner"]) if asked["partner"] else None,
        month_from_text(asked["period"]) if asked["period"] else None,
        asked["rule"] or None,
    )


def _following(found: Sequence[Held], limit: int) -> _Place | None:
    return (found[-1].partner_id, found[-1].action_id) if len(found) == limit else None
