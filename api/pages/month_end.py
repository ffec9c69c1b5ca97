"""The month end: what would surprise, the runs that bill a month, and one run with what became of each partner."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.exports import ExportKind, exported_list, files_of, money
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes import billing_scheduler as routes
from api.routing import Route
from api.schemas.fields import UuidPath
from api.schemas.runs import RetryRunsIn, RunIn
from api.state import state_of
from billing.errors import InvalidValue
from billing.periods import period_from_text, previous_period, text_from_period
from db.core.engine import transaction
from db.masters import partners
from db.reports.sheets import Cell
from db.runs import pre_close, records, scheduler, starting
from db.runs.records import Item
from db.runs.wire import result_out, runs_out

router = APIRouter(route_class=Route, include_in_schema=False)
_BILL = requires(Permission.BILL)
_RUNS = 10
_Place = tuple[str, int]
_COLUMNS: dict[str, Callable[[Item], Cell]] = {
    "partner": lambda item: item.partner,
    "period": lambda item: text_from_period(item.period),
    "outcome": lambda item: item.outcome.value if item.outcome else None,
    "state": lambda item: item.bill_state,
    "gross": lambda item: None if item.gross_minor is None else money(item.gross_minor),
    "currency": lambda item: item.currency,
    "note": lambda item: item.note or item.error,
    "bill_id": lambda item: str(item.bill_id) if item.bill_id else None,
}


@router.get("/month", dependencies=[requires(Permission.READ)])
async def show_month_end(request: Request, period: str = "", after: After = None) -> Response:
    """What to look at before a month is billed, by default last month, and the newest runs."""
    return await _show(request, Form(), period.strip(), after)


@router.post("/month/run", dependencies=[_BILL])
async def start_run_here(request: Request) -> Response:
    """Bill a month of all partners or some, or see first what that would come to."""

    async def act(form: Form) -> Response:
        period, is_dry = form.value("period").strip(), form.value("dry_run") != ""
        if not period:
            raise Problem(400, "Name a month.", [FieldError("#/period", "is missing")])
        if not is_dry and form.value("confirmed").strip() != period:
            raise Problem(400, "The month is another one.", [FieldError("#/confirmed", f"must be {period}")])
        sent: dict[str, Any] = {"period": period, "dry_run": is_dry, "trigger_source": "page"}
        if shops := form.value("shop_ids").replace(",", " ").split():
            sent["shop_ids"] = shops
        started = await routes.started_run(request, form.read_as(RunIn, sent))
        return led_to(request, f"/runs/{started['run_id']}")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, form.value("period"), None)

    return await submitted(request, act, show)


@router.get("/runs/{run_id}", dependencies=[requires(Permission.READ)])
async def show_run(request: Request, run_id: UuidPath, after: After = None) -> Response:
    """A run: how far it is, and what became of the month of each partner."""
    return await _show_run(request, Form(), run_id, after)


@router.get("/runs/{run_id}/export", dependencies=[requires(Permission.READ)])
async def export_run(request: Request, run_id: UuidPath, kind: ExportKind = "csv") -> Response:
    """What became of the month of each partner, as a file."""

    async def read(
        connection: asyncpg.Connection, after: _Place | None, limit: int
    ) -> tuple[list[Item], _Place | None]:
        if await records.read(connection, run_id) is None:
            raise _no_run(run_id)
        found = await records.items(connection, run_id, after=after, limit=limit)
        return found, _following(found, limit)

    return await exported_list(request, kind, "run", _COLUMNS, read)


async def _show_run(request: Request, form: Form, run_id: UUID, after: str | None) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        run = await records.read(connection, run_id)
        if run is None:
            raise _no_run(run_id)
        (shown,) = await runs_out(connection, [run])
        zones = await records.zones(connection, [run])
        ended = await records.items(connection, run_id, after=place_from_cursor(after, tuple[str, int]), limit=PER_PAGE)
        letters = await starting.dead_letters_of(connection, run_id, PER_PAGE)
    following = _following(ended, PER_PAGE)
    return page(
        request,
        "run.html",
        status=form.status,
        form=form,
        run=shown,
        zone=zones.get(run_id, "UTC"),
        results=[result_out(each) | {"name": each.partner_name} for each in ended],
        links=beside(request, {}, cursor_from_place(following) if following else None),
        files=files_of(f"/runs/{run_id}/export", {}),
        letters=letters,
        may_bill=caller_of(request).may(Permission.BILL),
    )


@router.post("/runs/{run_id}/retry", dependencies=[_BILL])
async def retry_run_here(request: Request, run_id: UuidPath) -> Response:
    """Bill the dead letters of a run again."""

    async def act(form: Form) -> Response:
        body = form.read_as(RetryRunsIn, {"ids": list(form.all("item"))})
        await routes.retry_run_dead_letters(request, body)
        return led_to(request, "/month", "They are billed again, in a run of their own.")

    async def show(asked: Request, form: Form) -> Response:
        return await _show_run(asked, form, run_id, None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, text: str, after: str | None) -> Response:
    month = _period(text)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        place = place_from_cursor(after, str) or ""
        found, everybody = await pre_close.page(connection, month, after=place, limit=PER_PAGE)
        them = await partners.read_page(connection, after=place or None, limit=PER_PAGE)
        waits = await scheduler.left_to_people(connection, [each.id for each in them], datetime.now(UTC))
        newest = await records.newest(connection, _RUNS)
        runs, zones = await runs_out(connection, newest), await records.zones(connection, newest)
    following = cursor_from_place(found[-1].partner) if len(found) == PER_PAGE else None
    return page(
        request,
        "month_end.html",
        status=form.status,
        form=form,
        month=month,
        period_text=text_from_period(month),
        previous_text=text_from_period(previous_period(month)),
        findings=[(each, of, waits.get(of.id, [])) for each, of in zip(found, them, strict=True)],
        everybody=everybody,
        runs=runs,
        zones=zones,
        enabled=state_of(request).settings.billing_scheduler_enabled,
        may_bill=caller_of(request).may(Permission.BILL),
        links=beside(request, {"period": text}, following),
    )


def _following(found: Sequence[Item], limit: int) -> _Place | None:
    return found[-1].place if len(found) == limit else None


def _no_run(run_id: UUID) -> Problem:
    return Problem(404, f"There is no run {run_id}.")


def _period(text: str) -> int:
    """The month that is asked for; last month for what is none."""
    try:
        return period_from_text(text)
    except InvalidValue:
        return starting.last_month(datetime.now(UTC))
