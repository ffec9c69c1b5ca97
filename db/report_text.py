"""Reports as CSV and Markdown: the table finance checks, streamed line by line."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

import asyncpg

from billing.actions import Outcome
from billing.explain import STATUS
from billing.money import amount_from_minor
from billing.periods import name_of_period
from billing.totals import Totals
from db import reports
from db.leads import Line
from db.reports import Report

CSV_COLUMNS = (
    "row",
    "customer_email",
    "customer",
    "product",
    "lead_type",
    "action_type",
    "engagement_level",
    "occurred_at",
    "amount",
    "duplicate",
    "status",
    "billed",
    "duplicate_savings",
    "cap_savings",
    "currency",
    "lead",
    "action_id",
    "duplicate_of",
    "reason",
)
_AMOUNT = re.compile(r"-?[0-9]+\.[0-9]{2}")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def explanation(report: Report) -> str:
    """The totals of a report in one sentence."""
    totals = report.totals
    parts = [
        f"{_money(totals.billed_minor, report)} billed of {_money(totals.gross_minor, report)} gross",
        f"{_money(totals.duplicate_savings_minor, report)} saved as duplicates",
        f"{_money(totals.cap_savings_minor, report)} saved by the cap",
    ]
    if totals.held_minor:
        parts.append(f"{_money(totals.held_minor, report)} held")
    if totals.returned_minor:
        parts.append(f"{_money(totals.returned_minor, report)} returned")
    if report.credited_minor:
        parts.append(f"{_money(report.credited_minor, report)} to be credited for actions of closed periods")
    return ", ".join(parts) + "."


async def csv_text(connection: asyncpg.Connection, report: Report) -> AsyncIterator[str]:
    """One row per action, one per credit, one per product, then the total and the explanation.

    `row` tells which is which. The billed amounts of actions and credits add up to what is due.
    """
    yield csv_row(CSV_COLUMNS)
    async for line in reports.lines(connection, report.partner_id, report.period):
        yield csv_row(_cells(line))
    for credit in await reports.credits_in(connection, report.partner_id, report.period):
        yield csv_row(_credit_cells(credit, report.currency))
    for product in report.products:
        yield csv_row(_sum_cells("product total", product.product, product.totals, report.currency, ""))
    yield csv_row(_sum_cells("total", "", report.totals, report.currency, explanation(report)))


async def markdown_text(connection: asyncpg.Connection, report: Report) -> AsyncIterator[str]:
    """The report as a page: the table of actions, subtotals per product, totals and the explanation."""
    state = "Final" if report.final else "Not final: the period is open"
    yield (
        f"# Billing report: {md_cell(report.partner_name)}, {name_of_period(report.period)}\n\n"
        f"{state}. Amounts in {report.currency}. As of {report.as_of:%Y-%m-%d %H:%M:%S} UTC.\n\n"
        "| Customer | Product | Lead type | Action type | Level | Amount | Duplicate | Status | Billed |\n"
        "|---|---|---|---|---|---:|---|---|---:|\n"
    )
    async for line in reports.lines(connection, report.partner_id, report.period):
        verdict = line.explained.verdict
        cells = (
            line.row["email"],
            line.row["product_name"],
            line.row["lead_type"],
            verdict.action.action_type,
            verdict.action.engagement_level,
            amount_from_minor(verdict.action.value_minor),
            "Yes" if verdict.outcome is Outcome.DUPLICATE else "No",
            STATUS[verdict.outcome],
            amount_from_minor(verdict.billed_minor),
        )
        yield "| " + " | ".join(map(md_cell, cells)) + " |\n"
    credited = await reports.credits_in(connection, report.partner_id, report.period)
    if credited:
        yield "\n## Credits\n\n| Customer | Product | Action type | Billed in | Credit | Reason |\n"
        yield "|---|---|---|---|---:|---|\n"
    for credit in credited:
        yield _md_credit(credit)
    yield (
        "\n## By product\n\n| Product | Actions | Gross | Billed | Duplicate savings | Cap savings |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    for product in report.products:
        yield _md_totals(product.name, product.totals)
    yield _md_totals("Total", report.totals)
    yield f"\n{md_cell(explanation(report))}\n"


def _cells(line: Line) -> tuple[str, ...]:
    explained, row = line.explained, line.row
    verdict = explained.verdict
    action = verdict.action
    duplicate = verdict.outcome is Outcome.DUPLICATE
    capped = verdict.outcome in (Outcome.PARTLY_BILLED, Outcome.CAPPED)
    return (
        "action",
        row["email"],
        row["customer"],
        row["product_name"],
        row["lead_type"],
        action.action_type,
        action.engagement_level,
        _instant(action.occurred_at),
        amount_from_minor(action.value_minor),
        "Yes" if duplicate else "No",
        STATUS[verdict.outcome],
        amount_from_minor(verdict.billed_minor),
        amount_from_minor(action.value_minor if duplicate else 0),
        amount_from_minor(action.value_minor - verdict.billed_minor if capped else 0),
        line.currency,
        row["lead"],
        str(action.id),
        str(explained.winner.action_id) if explained.winner else "",
        line.reason,
    )


def _credit_cells(credit: asyncpg.Record, currency: str) -> tuple[str, ...]:
    """A credit as a row of its own, with what it gives back as a negative amount."""
    amount = amount_from_minor(-credit["amount_minor"])
    month = name_of_period(credit["billing_period"])
    return (
        "credit",
        credit["email"],
        credit["customer"],
        credit["product"],
        credit["lead_type"],
        credit["action_type"],
        credit["engagement_level"],
        _instant(credit["occurred_at"]),
        amount,
        "No",
        "Credited",
        amount,
        amount_from_minor(0),
        amount_from_minor(0),
        currency,
        credit["lead"],
        str(credit["action_id"]),
        "",
        f"Credited, because it was returned ({credit['reason']}); it was billed in {month}.",
    )


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S.%fZ}".replace(".000000Z", "Z")


def _sum_cells(kind: str, product: str, totals: Totals, currency: str, reason: str) -> tuple[str, ...]:
    return (
        kind,
        "",
        "",
        product,
        "",
        "",
        "",
        "",
        amount_from_minor(totals.gross_minor),
        "",
        "",
        amount_from_minor(totals.billed_minor),
        amount_from_minor(totals.duplicate_savings_minor),
        amount_from_minor(totals.cap_savings_minor),
        currency,
        "",
        "",
        "",
        reason,
    )


def csv_row(cells: Iterable[str]) -> str:
    """One line of a CSV file, with nothing in it that a spreadsheet takes for a formula."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([_defused(cell) for cell in cells])
    return buffer.getvalue()


def _defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell.startswith(_FORMULA_STARTS) and not _AMOUNT.fullmatch(cell) else cell


def md_cell(cell: str) -> str:
    """A text as the cell of a table in Markdown."""
    escaped = cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return escaped.replace("`", "\\`").replace("*", "\\*").replace("[", "\\[")


def _md_credit(credit: asyncpg.Record) -> str:
    amount, month = amount_from_minor(-credit["amount_minor"]), name_of_period(credit["billing_period"])
    cells = (credit["email"], credit["product"], credit["action_type"], month, amount, credit["reason"])
    return "| " + " | ".join(map(md_cell, cells)) + " |\n"


def _md_totals(name: str, totals: Totals) -> str:
    amounts = (
        totals.gross_minor,
        totals.billed_minor,
        totals.duplicate_savings_minor,
        totals.cap_savings_minor,
    )
    return f"| {md_cell(name)} | {totals.actions} | " + " | ".join(map(amount_from_minor, amounts)) + " |\n"


def _money(minor: int, report: Report) -> str:
    return f"{amount_from_minor(minor)} {report.currency}"
