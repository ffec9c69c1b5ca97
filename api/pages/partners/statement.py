"""The account of a partner: its statement, and what is open by age."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NamedTuple

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.exports import ExportKind, exported_list, files_of, money
from api.pages.partners.heading import Heading, heading_of
from api.pages.rendering import page
from api.routing import Route
from api.state import state_of
from billing.bills.statement import Statement
from db.account import ageing, booking, statements
from db.core.engine import transaction
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/statement")


class _Line(NamedTuple):
    """A line of a statement, in minor units; balances have no amount."""

    document: str
    kind: str
    booked_on: date
    paid_on: date | None
    amount_minor: int | None
    balance_minor: int
    currency: str


_COLUMNS: dict[str, Callable[[_Line], Cell]] = {
    "document": lambda line: line.document,
    "kind": lambda line: line.kind.replace("_", " "),
    "booked_on": lambda line: line.booked_on.isoformat(),
    "paid_on": lambda line: line.paid_on.isoformat() if line.paid_on else None,
    "amount": lambda line: None if line.amount_minor is None else money(line.amount_minor),
    "balance": lambda line: money(line.balance_minor),
    "currency": lambda line: line.currency,
}


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_statement(request: Request, partner: str, start: str = "", end: str = "") -> Response:
    """What was booked from one day to another, both included; by default this year."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        today = await booking.booking_day(connection, heading.partner.id, datetime.now(UTC))
        first, last = _days(start, end, today)
        found = await statements.read(connection, heading.partner.id, first, last)
        owed = await ageing.of_partner(connection, heading.partner.id, today)
    return page(
        request,
        "partners/statement.html",
        language=heading.language,
        heading=heading,
        start=first,
        end=last,
        today=today,
        found=found,
        owed=owed,
        files=files_of(f"{heading.path}/statement/export", {"start": first, "end": last}),
    )


@router.get("/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_statement(
    request: Request, partner: str, kind: ExportKind = "csv", start: str = "", end: str = ""
) -> Response:
    """The same statement as a file, with the balance before and after."""

    async def read(connection: asyncpg.Connection, _: None, limit: int) -> tuple[list[_Line], None]:
        heading = await heading_of(request, connection, partner)
        today = await booking.booking_day(connection, heading.partner.id, datetime.now(UTC))
        first, last = _days(start, end, today)
        found = await statements.read(connection, heading.partner.id, first, last)
        return _lines(heading, found, first, last), None

    return await exported_list(request, kind, "statement", _COLUMNS, read)


def _lines(heading: Heading, found: Statement, first: date, last: date) -> list[_Line]:
    currency = heading.partner.currency
    return [
        _Line("", "opening_balance", first, None, None, found.opening_minor, currency),
        *(
            _Line(each.document, each.kind.value, each.booked_on, each.paid_on, each.amount_minor, balance, currency)
            for each, balance in found.entries
        ),
        _Line("", "closing_balance", last, None, None, found.closing_minor, currency),
    ]


def _days(start: str, end: str, today: date) -> tuple[date, date]:
    """The first and the last day of a statement; by default this year."""
    last = _day(end) or today
    return min(_day(start) or last.replace(month=1, day=1), last), last


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
