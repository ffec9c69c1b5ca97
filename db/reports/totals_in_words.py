"""The totals of a report in words."""

from billing.money import amount_from_minor
from db.reports.live_report import Report


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
        parts.append(f"{_money(report.credited_minor, report)} credited for actions of closed periods")
        parts.append(f"which leaves {_money(totals.billed_minor - report.credited_minor, report)}")
    return ", ".join(parts) + "."


def _money(minor: int, report: Report) -> str:
    return f"{amount_from_minor(minor)} {report.currency}"
