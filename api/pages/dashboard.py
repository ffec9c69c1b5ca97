"""The first page: what waits for me, this month by day, and whether the engine is well, live."""

import asyncio
import calendar
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec
from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.movers import waiting_caller
from api.access.permissions import Permission, caller_of, requires
from api.pages.charts import Chart, Series, line_chart
from api.pages.rendering import page
from api.routing import Route
from api.shared import Shared
from api.state import State, state_of
from api.wire import json_response
from billing.periods import name_of_period, text_from_period
from db.access import users
from db.bills import records
from db.bills.filters import BillFilter
from db.core.engine import transaction
from db.fraud import held
from db.fraud.held import HeldFilter
from db.reports import day_totals
from db.reports.day_totals import DayTotals
from db.runs.records import newest as newest_runs
from db.runs.records import zones as zones_of_runs
from db.runs.wire import runs_out
from db.telemetry import business_figures
from db.telemetry.business_figures import Figures

router = APIRouter(route_class=Route, include_in_schema=False)

STREAM_S = 25.0
"""A stream ends after so long, before a gateway would end it, and the page connects again."""
PAUSE_S = 2.0
"""Between two events of a stream."""
_RETRY_MS = 1000
_LOOKED_AT = 30
_SHOWN = 6
_RUNS_SHOWN = 3
_DAYS_KEPT_S = 60.0
_MOST_MONTHS = 24
_MOST_CURRENCIES = 3
_WAITS_LONG_S = 60


@router.get("/dashboard", dependencies=[requires(Permission.READ)])
async def show_dashboard(request: Request) -> Response:
    """What waits for me first, then this month, then health."""
    state, now = state_of(request), datetime.now(UTC)
    async with transaction(state.engine, readonly=True) as connection:
        waiting = BillFilter(waiting_for=waiting_caller(request))
        mine = await records.page(connection, waiting, before=None, limit=_SHOWN + 1)
        overdue = await records.page(connection, BillFilter(overdue_at=now), before=None, limit=_SHOWN)
        period = await day_totals.newest_period(connection, now.year * 100 + now.month)
        people = await _people_who_wait(request, connection)
        figures = await business_figures.read(connection)
        overage = await records.page(connection, BillFilter(with_overage=True), before=None, limit=_SHOWN)
        newest = await newest_runs(connection, _RUNS_SHOWN)
        runs, zones = await runs_out(connection, newest), await zones_of_runs(connection, newest)
        worth = await held.at_risk(connection, HeldFilter())
    days = await _days(state, period) if period else []
    return page(
        request,
        "dashboard.html",
        mine=mine[:_SHOWN],
        has_more=len(mine) > _SHOWN,
        overdue=overdue,
        overage=overage,
        runs=runs,
        zones=zones,
        people=people,
        month=name_of_period(period) if period else "",
        period_text=text_from_period(period) if period else "",
        charts=None if days is None else [_chart(period, each, now.date()) for each in _by_currency(days)],
        health=_health_out(figures),
        held=worth,
        figures=figures,
    )


@router.get("/dashboard/live", dependencies=[requires(Permission.READ)])
async def stream_health(request: Request) -> Response:
    """The figures of health as server-sent events."""
    state = state_of(request)
    return state.streams.start(caller_of(request).id, _events(state))


@router.get("/dashboard/figures", dependencies=[requires(Permission.READ)])
async def get_health(request: Request) -> Response:
    """The same once, for where no stream comes through."""
    state = state_of(request)
    return json_response(_health_out(await state.health.get(lambda: _figures(state.engine))))


async def _events(state: State) -> AsyncIterator[bytes]:
    """The events; they are made outside the thread for reading, so the figures are read through it."""
    yield f"retry: {_RETRY_MS}\n\n".encode()
    ends = asyncio.get_running_loop().time() + STREAM_S
    while asyncio.get_running_loop().time() < ends:
        figures = await state.health.get(lambda: state.reading.run(_figures))
        yield b"data: " + msgspec.json.encode(_health_out(figures)) + b"\n\n"
        await asyncio.sleep(PAUSE_S)


async def _figures(engine: AsyncEngine) -> Figures:
    async with transaction(engine, readonly=True) as connection:
        return await business_figures.read(connection)


def _health_out(figures: Figures | None) -> dict[str, Any] | None:
    """The figures for the page; None while they are read for the first time."""
    if figures is None:
        return None
    decided = sum(figures.leads.values())
    is_well = not figures.violations and not figures.dead_letters and figures.oldest_s < _WAITS_LONG_S
    return {
        "waiting": figures.waiting,
        "oldest_s": round(figures.oldest_s),
        "decided": decided,
        "quarantined": figures.quarantined,
        "dead_letters": figures.dead_letters,
        "tasks": figures.tasks,
        "is_paused": figures.paused_s > 0,
        "is_well": is_well,
    }


async def _people_who_wait(request: Request, connection: asyncpg.Connection) -> int:
    """How many people wait for a role, for an Admin."""
    if not caller_of(request).may(Permission.ADMIN):
        return 0
    waiting = await users.page(
        connection, role=None, waiting=True, email=None, active=None, before=None, limit=_LOOKED_AT
    )
    return len(waiting)


async def _days(state: State, period: int) -> list[DayTotals] | None:
    """The days of a month; None while they are being added up for the first time."""

    async def read() -> list[DayTotals]:
        async with transaction(state.engine, readonly=True) as connection:
            return await day_totals.read(connection, period)

    if len(state.days) > _MOST_MONTHS:
        state.days.clear()
    return await state.days.setdefault(period, Shared(_DAYS_KEPT_S)).get(read)


def _by_currency(days: Sequence[DayTotals]) -> list[list[DayTotals]]:
    """The days of each currency, that with the most actions first."""
    currencies: dict[str, list[DayTotals]] = {}
    for each in days:
        currencies.setdefault(each.currency, []).append(each)
    busiest = sorted(currencies.values(), key=lambda group: -sum(each.actions for each in group))
    return busiest[:_MOST_CURRENCIES]


def _chart(period: int | None, days: Sequence[DayTotals], today: date) -> dict[str, Any]:
    assert period is not None
    year, month = divmod(period, 100)
    count = calendar.monthrange(year, month)[1]
    is_now = (today.year, today.month) == (year, month)
    known = {each.day.day: each for each in days if (each.day.year, each.day.month) == (year, month)}
    until = today.day if is_now else count

    def values(name: str) -> list[int | None]:
        return [
            (getattr(known[day], name) if day in known else 0) if day <= until else None for day in range(1, count + 1)
        ]

    billed, saved = values("billed_minor"), values("saved_minor")
    chart: Chart = line_chart(
        [str(day) for day in range(1, count + 1)],
        [Series("Billed", "billed", billed), Series("Saved", "saved", saved)],
        today.day - 1 if is_now else None,
    )
    rows = [(day, billed[day - 1], saved[day - 1]) for day in range(1, until + 1)]
    return {
        "chart": chart,
        "currency": days[0].currency,
        "rows": rows,
        "billed": sum(each.billed_minor for each in days),
        "saved": sum(each.saved_minor for each in days),
    }
