"""Held actions: what fraud rules or people hold, what it is worth, and decisions about many at once."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.ids import partner_id_of
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, link, month_from_text
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes import held as routes
from api.routing import Route
from api.state import state_of
from db.core.engine import transaction
from db.fraud import held
from db.fraud.held import AtRisk, Held, HeldFilter

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/held")


@router.get("", dependencies=[requires(Permission.READ)])
async def show_held(
    request: Request, partner: str = "", period: str = "", rule: str = "", after: After = None
) -> Response:
    """Held actions of all partners or one, of a month, or of a rule."""
    asked = {"partner": partner.strip(), "period": period.strip(), "rule": rule.strip()}
    return await _show(request, Form(), asked, after)


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
            only = HeldFilter(
                await partner_id_of(connection, asked["partner"]) if asked["partner"] else None,
                month_from_text(asked["period"]) if asked["period"] else None,
                asked["rule"] or None,
            )
            place = place_from_cursor(after, tuple[UUID, UUID])
            found = await held.page(connection, only, after=place, limit=PER_PAGE)
            worth = await held.at_risk(connection, only)
    except Problem as problem:
        form.refuse(problem)
    following = cursor_from_place((found[-1].partner_id, found[-1].action_id)) if len(found) == PER_PAGE else None
    return page(
        request,
        "held.html",
        status=form.status,
        form=form,
        asked=asked,
        held=found,
        worth=worth,
        may_decide=caller_of(request).may(Permission.BILL),
        links=beside(request, asked, following),
    )
