"""A report as PDF: its products, its totals and its first customers; the CSV has every action."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from billing.money import amount_from_minor
from billing.periods import name_of_period, text_from_period
from billing.totals import Totals
from db.reports.live_report import Report
from db.reports.report_customers import CustomerTotals
from db.reports.totals_in_words import explanation
from db.reports.typesetting import breaking, pdf_from_template

MOST_CUSTOMERS = 200
"""So many are listed, which is some ten pages and takes half a second; the file says that there are more."""

_TEMPLATE = Path(__file__).with_name("report.typ")


def pdf_file(report: Report, customers: Sequence[CustomerTotals], *, people: bool = True) -> bytes:
    """The PDF; `customers` has one more than are listed, if there are more. The same figures are the same bytes.

    Without `people` customers have no name, and their id in place of the e-mail.
    """
    year, month = divmod(report.period, 100)
    return pdf_from_template(_TEMPLATE, _texts(report, customers, people), date(year, month, 1))


def _texts(report: Report, customers: Sequence[CustomerTotals], people: bool) -> dict[str, Any]:
    """The texts by the names that report.typ gives them."""
    listed = customers[:MOST_CUSTOMERS]
    more = f"The first {MOST_CUSTOMERS} customers are listed. All of them, with every action, are in the CSV."
    return {
        "title": f"Report {report.partner_name} {text_from_period(report.period)}",
        "number": f"{report.partner} {text_from_period(report.period)}",
        "footer": report.partner_name,
        "lang": "en",
        "paper": "a4",
        "partner": report.partner_name,
        "month": name_of_period(report.period),
        "state": "Final" if report.final else f"Not final, as of {report.as_of:%Y-%m-%d %H:%M} UTC",
        "currency": report.currency,
        "products": [
            _row(product.name, product.product, product.totals, product.credited_minor or 0)
            for product in report.products
        ],
        "net": amount_from_minor(report.totals.billed_minor - report.credited_minor),
        "explanation": explanation(report),
        "customers": [
            _row(*((each.email, each.name) if people else (each.external_id, "")), each.totals, each.credited_minor)
            for each in listed
        ],
        "cut": more if len(customers) > len(listed) else None,
        "digest": report.digest,
    }


def _row(name: str, note: str, totals: Totals, credited_minor: int) -> dict[str, Any]:
    amounts = (
        totals.gross_minor,
        totals.duplicate_savings_minor,
        totals.cap_savings_minor,
        totals.billed_minor,
        credited_minor,
        totals.billed_minor - credited_minor,
    )
    figures = [f"{totals.actions:,}", *(amount_from_minor(amount) for amount in amounts)]
    return {"name": breaking(name), "note": breaking(note) or None, "figures": figures}
