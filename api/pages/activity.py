"""Activity: leads and what became of them, and one lead with the sentence why of each action."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, sees_people
from api.ids import customer_id_of, partner_id_of, possible_lead_ids, product_id_of
from api.pages.exports import files_of
from api.pages.forms import Form, submitted
from api.pages.languages import language_of_partner
from api.pages.lists import PER_PAGE, beside, day_in_utc, path_to
from api.pages.own_returns import reason_from_form, reasons_of, said_of
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.actions import ReasonIn, ReturnIn, hold_action, release_action, return_action
from api.routes.returns import returned
from api.routing import Route
from api.state import state_of
from billing.actions import Outcome
from billing.errors import InvalidValue
from billing.explain import totals_text
from billing.periods import period_from_text
from db.bills import return_records
from db.core.engine import transaction
from db.core.row_keys import partner_uuid, uuid_from_text
from db.masters import partners
from db.reports import leads_on_record
from db.reports.leads_on_record import LeadFilter, LeadOrder, LeadPage

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/activity")
_READ = requires(Permission.READ, within_partner=True)
_MOST_SEARCHES = 5
_DONE = {
    "hold": "The action is held: it is not billed until it is released.",
    "release": "The action counts again.",
    "return": "The action is returned.",
}


class Asked(BaseModel):
    """The filters, each empty for any. Days are of the leads' creation, in UTC, both included.

    With `period`, leads of which something is billed in that month.
    """

    model_config = ConfigDict(str_strip_whitespace=True)

    partner: str = ""
    customer: str = ""
    product: str = ""
    source: str = ""
    lead_type: str = ""
    action_type: str = ""
    engagement_level: str = ""
    outcome: str = ""
    period: str = ""
    start: str = ""
    end: str = ""


@router.get("", dependencies=[_READ])
async def show_activity(request: Request, asked: Annotated[Asked, Depends()], after: After = None) -> Response:
    """Decided leads: of everybody and all times the latest received first, else the latest created."""
    form, query, language = Form(), asked.model_dump(), ""
    found, newest_by = LeadPage([], None), LeadOrder.CREATED
    try:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            only = await filter_from_asked(request, connection, asked)
            newest_by, before = leads_on_record.order_of(only), place_from_cursor(after, tuple[datetime, UUID])
            found = await _found(connection, only, before, newest_by, sees_people(request))
            language = await language_of_partner(connection, only.partner_id)
    except Problem as problem:
        form.refuse(problem)
    return page(
        request,
        "activity.html",
        status=form.status,
        language=language,
        form=form,
        asked=query,
        leads=[(lead, totals, totals_text(totals)) for lead, totals, _ in found.leads],
        is_by_receipt=newest_by is LeadOrder.RECEIVED,
        people=sees_people(request),
        links=beside(request, query, cursor_from_place(found.next) if found.next else None),
        files=files_of("/activity/export", query),
        is_filtered=any(query.values()),
    )


@router.get("/{lead_id}", dependencies=[_READ])
async def show_lead(request: Request, lead_id: str) -> Response:
    """One lead with all its actions, each explained."""
    return await _show_lead(request, Form(), lead_id)


@router.post("/{lead_id}/decide", dependencies=[requires(Permission.BILL)])
async def decide_action_here(request: Request, lead_id: str) -> Response:
    """Hold, release or return an action of the lead, for a reason."""

    async def act(form: Form) -> Response:
        decision, action_id = form.value("decision"), uuid_from_text(form.value("action"))
        if action_id is None or decision not in _DONE:
            raise Problem(400, "Choose an action and what to do with it.")
        if decision == "return":
            await return_action(request, action_id, form.read(ReturnIn))
        elif decision == "hold":
            await hold_action(request, action_id, form.read(ReasonIn))
        else:
            await release_action(request, action_id, form.read(ReasonIn))
        return led_to(request, path_to("activity", lead_id), _DONE[decision])

    async def show(asked: Request, form: Form) -> Response:
        return await _show_lead(asked, form, lead_id)

    return await submitted(request, act, show)


@router.post("/{lead_id}/ask-return", dependencies=[_READ])
async def ask_return_here(request: Request, lead_id: str) -> Response:
    """Ask for the return of an action of the lead; asked again, nothing changes."""

    async def act(form: Form) -> Response:
        if (action_id := uuid_from_text(form.value("action"))) is None:
            raise Problem(400, "Choose an action.")
        body = form.read_as(ReturnIn, {"reason": reason_from_form(form)})
        results = await returned(request, [("The action", [action_id], False, body.reason)])
        return led_to(request, path_to("activity", lead_id), said_of(results))

    async def show(asked: Request, form: Form) -> Response:
        return await _show_lead(asked, form, lead_id)

    return await submitted(request, act, show)


async def _found(
    connection: asyncpg.Connection,
    only: LeadFilter,
    before: tuple[datetime, UUID] | None,
    newest_by: LeadOrder,
    people: bool,
) -> LeadPage:
    """The first page with leads in it: the leads behind an old bill are not the newest of the partner."""
    for _ in range(_MOST_SEARCHES):
        found = await leads_on_record.page(
            connection, only, before=before, limit=PER_PAGE, newest_by=newest_by, people=people
        )
        if found.leads or not found.next:
            break
        before = found.next
    return found


async def filter_from_asked(request: Request, connection: asyncpg.Connection, asked: Asked) -> LeadFilter:
    """What is asked for by row keys; Problem 404 for a name that nobody has, or nobody of the person's partner."""
    within, end = own_partner(request), day_in_utc(asked.end)
    return LeadFilter(
        customer_id=await customer_id_of(connection, asked.customer, within=within) if asked.customer else None,
        partner_id=await partner_id_of(connection, asked.partner, within=within) if asked.partner else within,
        product_id=await product_id_of(connection, asked.product, within=within) if asked.product else None,
        source=asked.source or None,
        lead_type=asked.lead_type or None,
        action_type=asked.action_type or None,
        engagement_level=asked.engagement_level or None,
        outcome=asked.outcome if asked.outcome in set(Outcome) else None,
        period=_period(asked.period),
        start=day_in_utc(asked.start),
        end=end and end + timedelta(days=1),
    )


async def _show_lead(request: Request, form: Form, lead_id: str) -> Response:
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await leads_on_record.rows(connection, possible_lead_ids("", lead_id))
        view = await leads_on_record.view(connection, next(iter(found)), people=within is None) if found else None
        if view is None or within not in (None, partner_uuid(view.lead.partner)):
            raise Problem(404, "There is no such lead on record.")
        partner_id = partner_uuid(view.lead.partner)
        partner, reasons = await partners.read(connection, partner_id), await reasons_of(connection, partner_id)
        returns = await return_records.of_lead(connection, view.lead.id)
        language = await language_of_partner(connection, partner_id)
    assert partner is not None
    return page(
        request,
        "lead.html",
        status=form.status,
        language=language,
        form=form,
        view=view,
        partner=partner,
        people=sees_people(request),
        reasons=reasons,
        returns=returns,
        may_decide=caller_of(request).may(Permission.BILL),
    )


def _period(text: str) -> int | None:
    """A month; None for what is no month, which filters nothing."""
    try:
        return period_from_text(text) if text else None
    except InvalidValue:
        return None
