"""Billing reports as tables in the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from scripts.console import add_row, moment, new_table, note

_FIGURES = {
    "leads": "Leads",
    "actions": "Actions",
    "gross": "Gross",
    "billed": "Billed",
    "credited": "Credited",
    "net": "Net",
    "duplicate_savings": "Dupl.",
    "cap_savings": "Over cap",
    "held": "Held",
    "returned": "Returned",
}
_LISTED = {
    "leads": "Leads",
    "gross": "Gross",
    "billed": "Billed",
    "credited": "Credited",
    "net": "Net",
    "savings": "Savings",
}  # so that a line fits a terminal of 80 columns
_RARE = {"held", "returned"}
_ACTION_COLUMNS = {
    "customer_email": "Customer",
    "product": "Product",
    "lead_type": "Lead type",
    "action_type": "Action",
    "engagement_level": "Level",
    "occurred_at": "Happened",
    "amount": "Amount",
    "billed": "Billed",
    "credited": "Credited",
    "status": "Status",
}


def print_reports(reports: Sequence[Any], customer: str | None, target: Console) -> None:
    """One line per report, or per report one customer's part of it."""
    if not reports:
        note("There are no reports yet.")
        return
    totals = [report["customers"][0]["totals"] if customer else report["totals"] for report in reports]
    headings = list(_LISTED.values())
    table = new_table(("Partner", "Period", *headings, "Cur.", "State"), right=headings)
    for report, sums in zip(reports, totals, strict=True):
        values = (sums[name] for name in _LISTED)
        add_row(table, report["partner"], report["period"], *values, report["currency"], _state(report))
    target.print(table)


def print_report(
    report: Any, customer: str | None, actions: Iterable[Mapping[str, str]] | None, target: Console
) -> None:
    """One report: its products, its customers, its actions if they are given, and its totals in a sentence."""
    title = f"{report['partner_name']} · {report['period']} · {report['currency']}"
    target.print(title, style="bold", markup=False, soft_wrap=True)
    state = f"{_state(report)}, version {report['version']}, as of {moment(report['as_of'])}"
    target.print(state, style="dim", markup=False)
    if not customer:
        products = [(each["product"], each["totals"]) for each in report["products"]]
        _print_parts(target, "Product", products, report["totals"])
    people = [(each["customer"], each["totals"]) for each in report["customers"]]
    # A key that is bound to a partner is told no e-mails.
    customers = [(person["email"] or person["external_id"], totals) for person, totals in people]
    _print_parts(target, "Customer", customers)
    if actions is not None:
        _print_actions(target, actions)
    if not customer:
        target.print(report["explanation"], markup=False, soft_wrap=True)


def _print_parts(target: Console, heading: str, parts: Sequence[tuple[str, Any]], total: Any = None) -> None:
    figures = _figures([totals for _, totals in parts])
    table = new_table((heading, *figures.values()), right=figures.values())
    for name, totals in parts:
        add_row(table, name, *(totals[figure] for figure in figures))
    if total:
        table.add_section()
        add_row(table, "Total", *(total[figure] for figure in figures), style="bold")
    target.print(table, "")


def _print_actions(target: Console, rows: Iterable[Mapping[str, str]]) -> None:
    table = new_table(_ACTION_COLUMNS.values(), right=("Amount", "Billed", "Credited"))
    for row in rows:
        add_row(table, *(row[name] for name in _ACTION_COLUMNS))
    target.print(table, "")


def _figures(totals: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The figures to show with their headings; those that are mostly nothing only where they are something."""
    seen = list(totals)
    return {
        name: heading
        for name, heading in _FIGURES.items()
        if name not in _RARE or any(each[name] != "0.00" for each in seen)
    }


def _state(report: Any) -> str:
    return "closed" if report["final"] else "open"
