"""Usage of a partner by month, against its limit, and a new entry."""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.charts import Series, line_chart
from api.pages.exports import ExportKind, exported_list, files_of
from api.pages.forms import Form, number_from_text, submitted
from api.pages.lists import path_to
from api.pages.partners.heading import heading_of
from api.pages.rendering import led_to, page
from api.routes.usage import enter_usage
from api.routing import Route
from api.schemas.contracts import UsageIn
from api.state import state_of
from api.wire import instant_out
from billing.contracts.usage import units_charged
from billing.periods import name_of_period, text_from_period
from db.contracts import usage
from db.contracts.usage import Place, Usage, UsageFilter
from db.core.engine import transaction
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/usage")
_MONTHS = 12
_COLUMNS: dict[str, Callable[[Usage], Cell]] = {
    "partner": lambda entry: entry.partner,
    "period": lambda entry: text_from_period(entry.key.period),
    "source": lambda entry: entry.key.source,
    "key": lambda entry: entry.key.key,
    "units": lambda entry: entry.units,
    "entered_at": lambda entry: instant_out(entry.entered_at),
}
_HUNDREDTHS = 100
"""Charts count in hundredths, as money does."""


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_usage(request: Request, partner: str) -> Response:
    """The units of the last months by source, and the limit."""
    return await _show(request, Form(), partner)


@router.get("/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_usage(request: Request, partner: str, kind: ExportKind = "csv") -> Response:
    """The entries that count, of all months, as a file."""

    async def read(connection: asyncpg.Connection, after: Place | None, limit: int) -> tuple[list[Usage], Place | None]:
        only = UsageFilter((await heading_of(request, connection, partner)).partner.id)
        found = await usage.page(connection, only, after=after, limit=limit)
        return found, found[-1].place if len(found) == limit else None

    return await exported_list(request, kind, "usage", _COLUMNS, read)


@router.post("", dependencies=[requires(Permission.BILL)])
async def enter_usage_here(request: Request, partner: str) -> Response:
    """Enter units of a month."""

    async def act(form: Form) -> Response:
        units = form.amount("units")
        sent: dict[str, Any] = {name: form.value(name).strip() for name in ("period", "source", "key")}
        sent |= {"partner": partner, "units": number_from_text(units)}
        await enter_usage(request, form.read_as(UsageIn, sent | {"replace": form.value("replace") == "yes"}))
        return led_to(request, path_to("partners", partner, "usage"), "The units are entered.")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, partner)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, partner: str) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        months = await usage.units_by_period(connection, heading.partner.id, _MONTHS)
    terms = heading.contract.terms
    charged = {period: units_charged(units, terms.usage_sources) for period, units in months.items()}
    series = [Series("Units", "billed", [units * _HUNDREDTHS for units in charged.values()])]
    if terms.monthly_api_limit is not None:
        series.append(Series("Limit", "saved", [terms.monthly_api_limit * _HUNDREDTHS] * len(charged)))
    return page(
        request,
        "partners/usage.html",
        status=form.status,
        form=form,
        heading=heading,
        language=heading.language,
        months=list(months.items())[::-1],
        charged=charged,
        limit=terms.monthly_api_limit,
        chart=line_chart(_labels(list(charged)), series) if len(charged) > 1 else None,
        files=files_of(f"{heading.path}/usage/export", {}),
        may_enter=caller_of(request).may(Permission.BILL),
    )


def _labels(periods: Sequence[int]) -> list[str]:
    """Mar 2024, Apr, May; the first of a year names it."""
    years = [period // 100 for period in periods]
    months = [name_of_period(period)[:3] for period in periods]
    return [
        f"{month} {year}" if year not in years[:at] else month
        for at, (month, year) in enumerate(zip(months, years, strict=True))
    ]
