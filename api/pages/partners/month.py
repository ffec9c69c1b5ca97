"""A month of a partner: its report, what would surprise once it is closed, closing and reopening, adjustments."""

from typing import Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, sees_people
from api.ids import cursor_after, customer_before
from api.pages.forms import Act, Form, submitted
from api.pages.lists import PER_PAGE, beside, path_to
from api.pages.partners.heading import heading_of
from api.pages.rendering import led_to, page
from api.paging import After
from api.problems import FieldError, Problem
from api.routes.adjustments import enter_adjustment, take_back_adjustment
from api.routes.periods import close_period, reopen_period
from api.routing import Route
from api.schemas.bills import AdjustmentIn
from api.schemas.fields import PeriodPath
from api.state import state_of
from billing.bills.states import State
from billing.periods import name_of_period, period_from_text
from db.bills import adjustments, records
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text
from db.intake import undecided
from db.ledger import after_end
from db.reports import live_report, report_customers

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/months/{period}")
_BILL = requires(Permission.BILL)
_AS_AGREED, _NO_TAX = "", "none"


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_month_of_partner(request: Request, partner: str, period: PeriodPath, after: After = None) -> Response:
    """The report of a month, as it is now."""
    return await _show(request, Form(), partner, period, after)


@router.post("/close", dependencies=[_BILL])
async def close_period_here(request: Request, partner: str, period: PeriodPath) -> Response:
    """Close the month, once its name was typed."""

    async def act(form: Form) -> Response:
        if form.value("month").strip() != period:
            raise Problem(400, "The month is another one.", [FieldError("#/month", f"must be {period}")])
        await close_period(request, partner, period)
        said = f"{name_of_period(period_from_text(period))} is being closed. Look again in a moment."
        return led_to(request, path_to("partners", partner, "months", period), said)

    return await _submitted(request, partner, period, act)


@router.post("/reopen", dependencies=[_BILL])
async def reopen_period_here(request: Request, partner: str, period: PeriodPath) -> Response:
    """Reopen the month, once its name was typed."""

    async def act(form: Form) -> Response:
        if form.value("again").strip() != period:
            raise Problem(400, "The month is another one.", [FieldError("#/again", f"must be {period}")])
        await reopen_period(request, partner, period)
        said = f"{name_of_period(period_from_text(period))} is open again; its actions are evaluated again."
        return led_to(request, path_to("partners", partner, "months", period), said)

    return await _submitted(request, partner, period, act)


@router.post("/adjustments", dependencies=[_BILL])
async def adjust_month_here(request: Request, partner: str, period: PeriodPath) -> Response:
    """Add an amount to the month, or take one off."""

    async def act(form: Form) -> Response:
        typed = {"text": form.value("text").strip(), "reason": form.value("reason").strip()}
        sent: dict[str, Any] = typed | {"partner": partner, "period": period, "amount": form.amount("amount")}
        await enter_adjustment(request, form.read_as(AdjustmentIn, sent | _own_tax(form)))
        return led_to(request, f"/partners/{partner}/months/{period}#adjustments", "The month is adjusted.")

    return await _submitted(request, partner, period, act)


@router.post("/adjustments/take-back", dependencies=[_BILL])
async def take_back_adjustment_here(request: Request, partner: str, period: PeriodPath) -> Response:
    """Take an adjustment of the month back."""

    async def act(form: Form) -> Response:
        adjustment_id = uuid_from_text(form.value("adjustment"))
        if adjustment_id is None:
            raise Problem(404, "There is no such adjustment.")
        await take_back_adjustment(request, adjustment_id)
        return led_to(request, f"/partners/{partner}/months/{period}#adjustments", "The adjustment is taken back.")

    return await _submitted(request, partner, period, act)


def _own_tax(form: Form) -> dict[str, Any]:
    """The tax of the adjustment itself; nothing leaves it to the terms."""
    category = form.value("tax.category")
    if category == _AS_AGREED:
        return {}
    if category == _NO_TAX:
        return {"tax": None}
    return {"tax": {"category": category, "rate": form.amount("tax.rate") or "0.00"}}


async def _submitted(request: Request, partner: str, period: str, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, partner, period, None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, partner: str, period: str, after: str | None) -> Response:
    state, month = state_of(request), period_from_text(period)
    within = own_partner(request)
    async with transaction(state.engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        partner_id = heading.partner.id
        report = await live_report.read(connection, partner_id, month)
        place = await customer_before(connection, after, within=within)
        customers = await report_customers.page(
            connection, partner_id, month, after=place, limit=PER_PAGE, people=sees_people(request)
        )
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        left = await undecided.count(connection, policy, month) if within is None and not report.final else None
        ended = 0 if left is None else (await after_end.count(connection, [partner_id], month))[partner_id]
        bill = await _bill(connection, partner_id, month, is_inner=within is None)
        adjusted = (await adjustments.standing(connection, [partner_id], month))[partner_id] if within is None else []
    may_bill = caller_of(request).may(Permission.BILL)
    following = cursor_after(customers[-1].external_id) if len(customers) == PER_PAGE else None
    return page(
        request,
        "partners/month.html",
        status=form.status,
        form=form,
        heading=heading,
        language=heading.language,
        month=month,
        period_text=period,
        report=report,
        customers=customers,
        people=sees_people(request),
        left=left,
        after_end=ended,
        bill=bill,
        adjusted=adjusted,
        may_adjust=may_bill and not (bill and bill.head.state is State.ISSUED),
        may_close=may_bill,
        is_newest_closed=heading.partner.closed_through == month,
        links=beside(request, {}, following),
    )


async def _bill(connection: asyncpg.Connection, partner_id: UUID, month: int, *, is_inner: bool) -> records.Bill | None:
    """The live bill of the month; a partner's own people see it once it is issued."""
    bill_id = await records.live_of(connection, partner_id, month)
    bill = await records.read(connection, bill_id) if bill_id else None
    return bill if bill and (is_inner or bill.issue) else None
