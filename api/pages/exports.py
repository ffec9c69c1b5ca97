"""Exports: all that a list finds by its filters, as CSV or XLSX."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Literal, TypeVar, get_args

import asyncpg
import xlsxwriter
from fastapi import Request, Response

from api.access.permissions import caller_of
from api.pages.lists import link
from api.state import state_of
from db.core.engine import transaction
from db.reports.csv_format import csv_row
from db.reports.sheets import TEXTS_STAY_TEXTS, Cell, Sheet

Row = TypeVar("Row")
Place = TypeVar("Place")
ExportKind = Literal["csv", "xlsx"]
KINDS: tuple[ExportKind, ...] = get_args(ExportKind)
Rows = AsyncIterator[Sequence[Sequence[Cell]]]
"""Rows, some at a time."""

ROWS_AT_ONCE = 500
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ROWS_OF_SHEET = 1_000_000
_WIDTHS = {
    "partner_name": 30,
    "name": 30,
    "reason": 40,
    "detail": 50,
    "note": 50,
    "customer_email": 30,
    "customer_name": 24,
    "why": 50,
}
_BLOCK_BYTES = 64 * 1024


def exported(request: Request, kind: ExportKind, name: str, head: Sequence[str], rows: Rows) -> Response:
    """The file of a list; its rows are read while it is sent."""
    downloads = state_of(request).downloads
    blocks = downloads.buffered(_csv(head, rows) if kind == "csv" else _xlsx(name, head, rows))
    return downloads.start(caller_of(request).id, blocks, _MEDIA_TYPES[kind], f"{name}.{kind}")


async def exported_list(
    request: Request,
    kind: ExportKind,
    name: str,
    columns: Mapping[str, Callable[[Row], Cell]],
    read: Callable[[asyncpg.Connection, Place | None, int], Awaitable[tuple[Sequence[Row], Place | None]]],
) -> Response:
    """The file of all that a list finds: `columns` are cells by their titles.

    `read` gives the rows after a place, so many at most, and the place of the next ones, if there are any. What it
    refuses is told before a file begins.
    """
    engine = state_of(request).engine
    async with transaction(engine, readonly=True) as connection:
        await read(connection, None, 1)

    async def rows() -> Rows:
        async with transaction(engine, readonly=True) as connection:
            found, place = await read(connection, None, ROWS_AT_ONCE)
            yield [[cell(each) for cell in columns.values()] for each in found]
            while place is not None:
                found, place = await read(connection, place, ROWS_AT_ONCE)
                yield [[cell(each) for cell in columns.values()] for each in found]

    return exported(request, kind, name, list(columns), rows())


def files_of(path: str, query: Mapping[str, object]) -> list[tuple[str, str]]:
    """The files of a list that is exported at a path: their kinds and links."""
    return [(kind, link(path, {"kind": kind, **query})) for kind in KINDS]


def money(minor: int) -> Decimal:
    """An amount as a cell."""
    return Decimal(minor).scaleb(-2)


async def _csv(head: Sequence[str], rows: Rows) -> AsyncGenerator[str, None]:
    yield csv_row(head)
    async for some in rows:
        yield "".join(csv_row("" if cell is None else str(cell) for cell in row) for row in some)


async def _xlsx(name: str, head: Sequence[str], rows: Rows) -> AsyncGenerator[bytes, None]:
    with TemporaryFile() as file, TemporaryDirectory() as folder:
        book = xlsxwriter.Workbook(file, {**TEXTS_STAY_TEXTS, "constant_memory": True, "tmpdir": folder})
        sheet, count = Sheet(book, name, head, _WIDTHS), 0
        async for some in rows:
            for row in some:
                if count and count % _ROWS_OF_SHEET == 0:
                    sheet = Sheet(book, f"{name} from {count + 1}", head, _WIDTHS)
                sheet.add(row)
                count += 1
        await asyncio.to_thread(book.close)
        file.seek(0)
        while block := file.read(_BLOCK_BYTES):
            yield block
