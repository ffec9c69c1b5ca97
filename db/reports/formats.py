"""Reports as text: any number of formats in one pass over the lines, a block at a time."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import asyncpg

from db.core.slices import in_slices
from db.reports import csv_format, markdown_format, report_lines
from db.reports.explained_actions import Line, LineCustomer
from db.reports.live_report import Report
from db.reports.report_lines import BookedCredit

LINES_PER_BLOCK = 100


class Format(Protocol):
    """How a report is written."""

    def head(self, report: Report, /) -> str:
        """The text above the actions."""

    def line(self, line: Line, /) -> str:
        """One action."""

    def credits_head(self) -> str:
        """The text above the credits, if there are any."""

    def credit(self, credit: BookedCredit, currency: str, /) -> str:
        """One credit."""

    def foot(self, report: Report, /) -> str:
        """The text below everything."""


FORMATS: Mapping[str, Format] = {"csv": csv_format, "md": markdown_format}


async def blocks(
    connection: asyncpg.Connection, report: Report, formats: Sequence[Format], *, people: bool = True
) -> AsyncIterator[tuple[str, ...]]:
    """The text of a report, block by block, in each of some formats; without totals that would stand among rows.

    Without `people` customers have no name, and the id that leads of the partner carried in place of the e-mail.
    """
    yield tuple(each.head(report) for each in formats)
    block: list[Line] = []
    async for line in report_lines.lines(connection, report.partner_id, report.period, people=people):
        block.append(line if people else line._replace(customer=_unnamed(line.customer)))
        if len(block) == LINES_PER_BLOCK:
            yield await _text(block, formats)
            block = []
    if block:
        yield await _text(block, formats)
    heads = tuple(each.credits_head() for each in formats)
    async for credited in report_lines.booked_credits(connection, report.partner_id, report.period, people=people):
        if not people:
            credited = [replace(each, email=each.customer, customer_name="") for each in credited]
        yield tuple(
            head + "".join(each.credit(credit, report.currency) for credit in credited)
            for head, each in zip(heads, formats, strict=True)
        )
        heads = ("",) * len(formats)
    feet = tuple(each.foot(report) for each in formats)
    if any(feet):
        yield feet


def _unnamed(customer: LineCustomer) -> LineCustomer:
    return LineCustomer(customer.external_id, "", customer.external_id)


async def _text(lines: Iterable[Line], formats: Sequence[Format]) -> tuple[str, ...]:
    texts: list[list[str]] = [[] for _ in formats]
    async for line in in_slices(lines):
        for text, each in zip(texts, formats, strict=True):
            text.append(each.line(line))
    return tuple("".join(text) for text in texts)
