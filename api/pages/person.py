"""One person who acted: a month with a partner as a timeline, how the cap filled up, why each action was billed.

And a new one, for leads that name somebody who is not known yet; and the erasure of one who asks for it.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, sees_people
from api.ids import customer_id_of
from api.pages.forms import Form, submitted
from api.pages.languages import language_of_partner
from api.pages.lists import link
from api.pages.rendering import led_to, page
from api.problems import FieldError, Problem
from api.routes.customers import create_customer, erase_customer
from api.routing import Route
from api.schemas.customers import CustomerIn
from api.state import state_of
from billing.periods import text_from_period
from billing.terms import CapScope
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.masters import carried_ids, customers
from db.privacy import erased_names
from db.reports import customer_months
from db.reports.customer_months import CustomerMonth
from db.reports.explained_actions import Line, instant_of_nth, lines_of_customers

router = APIRouter(route_class=Route, include_in_schema=False)
_ADMIN = requires(Permission.ADMIN)
MONTHS = 60
MOST_ACTIONS = 200


@router.get("/people/new", dependencies=[_ADMIN])
async def show_new_person(request: Request, external_id: str = "") -> Response:
    """The form for a new person; with the own id that a lead named."""
    return await _show_new(request, Form({"external_id": [external_id]} if external_id else {}))


@router.post("/people/new", dependencies=[_ADMIN])
async def create_person_here(request: Request) -> Response:
    """Create a person; leads that waited for them are decided."""

    async def act(form: Form) -> Response:
        body = form.read_as(CustomerIn, {name: form.value(name).strip() for name in CustomerIn.model_fields})
        await create_customer(request, body)
        said = f"{body.name} is there; leads that name {body.external_id} are decided."
        return led_to(request, f"/people/{customer_uuid(body.external_id)}", said)

    return await submitted(request, act, _show_new)


async def _show_new(request: Request, form: Form) -> Response:
    return page(request, "new_person.html", status=form.status, form=form)


@router.get("/people/{customer}", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_person(request: Request, customer: str, partner: str = "", period: str = "") -> Response:
    """The newest month of a person, or the one that is asked for."""
    return await _show(request, Form(), customer, partner, period)


@router.post("/people/{customer}/erase", dependencies=[_ADMIN])
async def erase_person_here(request: Request, customer: str) -> Response:
    """Erase a person, if their own id was typed; every sum and verdict stays."""

    async def act(form: Form) -> Response:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            person = await customers.read(connection, await customer_id_of(connection, customer))
        if form.value("own_id").strip() != person.external_id:
            wrong = [FieldError("#/own_id", f"must be {person.external_id}: nobody is erased")]
            raise Problem(400, "The id is another one.", wrong)
        await erase_customer(request, person.external_id)
        return led_to(request, f"/people/{person.id}", "The person is erased now; this page says when it is done.")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, customer, "", "")

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, customer: str, partner: str, period: str) -> Response:
    within = own_partner(request)
    lines: list[Line] = []
    async with transaction(state_of(request).engine, readonly=True) as connection:
        customer_id = await customer_id_of(connection, customer, within=within)
        person = await customers.read(connection, customer_id)
        own_id = await carried_ids.first(connection, within, customer_id) if within else person.external_id
        erasure = await erased_names.stage(connection, customer_id, [person.external_id, *person.aliases])
        months = await customer_months.newest(connection, customer_id, partner_id=within, limit=MONTHS + 1)
        shown = next(
            (each for each in months if _query(each) == {"partner": partner, "period": period}),
            months[0] if months else None,
        )
        language = await language_of_partner(connection, shown.partner_id) if shown else ""
        if shown:
            month = shown.partner_id, shown.period
            last = await instant_of_nth(connection, *month, customer_id, MOST_ACTIONS + 1)
            async for piece in lines_of_customers(connection, *month, [customer_id], until=last):
                lines += piece
                if len(lines) > MOST_ACTIONS:
                    break
    return page(
        request,
        "person.html",
        status=form.status,
        form=form,
        erasure=erasure,
        may_erase=erasure is None and caller_of(request).may(Permission.ADMIN),
        language=language,
        person=person,
        own_id=own_id,
        people=sees_people(request),
        months=[(each, link(f"/people/{customer_uuid(own_id)}", _query(each))) for each in months[:MONTHS]],
        most_months=MONTHS if len(months) > MONTHS else None,
        shown=shown,
        lines=lines[:MOST_ACTIONS],
        has_more=len(lines) > MOST_ACTIONS,
        cap=_cap(lines, shown),
    )


def _query(month: CustomerMonth) -> dict[str, str]:
    return {"partner": month.partner, "period": text_from_period(month.period)}


def _cap(lines: list[Line], month: CustomerMonth | None) -> dict[str, Any] | None:
    """The cap, what of it is used, and the action that crossed it; None without a cap.

    Of a month with more actions than are shown, the total says what is used.
    """
    with_cap = [line for line in lines if line.explained.cap_after_minor is not None and line.terms.cap_minor]
    if not with_cap:
        return None
    cap_minor, used = with_cap[-1].terms.cap_minor, max(line.explained.cap_after_minor or 0 for line in with_cap)
    if month is not None and with_cap[-1].terms.cap_scope is CapScope.PERIOD:
        used = month.totals.billed_minor
    crossing = next((line for line in with_cap if line.explained.verdict.outcome == "partly_billed"), None)
    return {"minor": cap_minor, "used_minor": used, "crossing": crossing}
