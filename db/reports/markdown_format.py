"""A report as a page in Markdown: tables of actions, credits, products, the totals, and the explanation.

The rows of each column of money add up to its total, which stands in a table of its own (R14).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from billing.actions import Outcome
from billing.explain import STATUS
from billing.money import amount_from_minor
from billing.periods import name_of_period
from billing.totals import Totals
from db.reports.explained_actions import Line
from db.reports.live_report import Report
from db.reports.report_lines import BookedCredit
from db.reports.totals_in_words import explanation

_TEXTS_REMEMBERED = 1_000
# Markdown as GitHub has it: strike-through, sums between dollar signs and bare addresses mean something too.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\|`*_[]~$:!"})
_TOTALS_HEAD = " Actions | Gross | Billed | Credited | Net | Duplicate savings | Cap savings |\n"
_TOTALS_RULE = "|---:|---:|---:|---:|---:|---:|---:|\n"
_LINK = re.compile(r"\b(www)(\.)", re.IGNORECASE)


def head(report: Report) -> str:
    """The title, and the head of the table of actions."""
    state = "Final" if report.final else "Not final: the period is open"
    return (
        f"# Billing report: {md_cell(report.partner_name)}, {name_of_period(report.period)}\n\n"
        f"{state}. Amounts in {report.currency}. As of {report.as_of:%Y-%m-%d %H:%M:%S} UTC.\n\n"
        "| Customer | Product | Lead type | Action type | Level | Amount | Duplicate | Status | Billed |\n"
        "|---|---|---|---|---|---:|---|---|---:|\n"
    )


def line(line: Line) -> str:
    """One action."""
    verdict = line.explained.verdict
    action = verdict.action
    cells = (
        line.customer.email,
        _name(line.product.name, line.product.external_id),
        line.lead_type,
        action.action_type,
        action.engagement_level,
        amount_from_minor(action.value_minor),
        "Yes" if verdict.outcome is Outcome.DUPLICATE else "No",
        STATUS[verdict.outcome],
        amount_from_minor(verdict.billed_minor),
    )
    return _row(cells)


def credits_head() -> str:
    """The title of the credits, and the head of their table."""
    return (
        "\n## Credits\n\n| Customer | Product | Action type | Billed in | Credited | Reason |\n"
        "|---|---|---|---|---:|---|\n"
    )


def credit(credit: BookedCredit, _: str) -> str:
    """One credit."""
    amount, month = amount_from_minor(credit.amount_minor), name_of_period(credit.billing_period)
    product = _name(credit.product_name, credit.product)
    return _row((credit.email, product, credit.action_type, month, amount, credit.reason))


def foot(report: Report) -> str:
    """The table of products, the total and the explanation."""
    text = f"\n## By product\n\n| Product |{_TOTALS_HEAD}|---{_TOTALS_RULE}"
    text += "".join(
        _row((_name(product.name, product.product), *_totals(product.totals, product.credited_minor or 0)))
        for product in report.products
    )
    text += f"\n## Total\n\n|{_TOTALS_HEAD}{_TOTALS_RULE}{_row(_totals(report.totals, report.credited_minor))}"
    return f"{text}\n{md_cell(explanation(report))}\n"


@lru_cache(_TEXTS_REMEMBERED)
def md_cell(cell: str) -> str:
    """A text as the cell of a table in Markdown; most texts of a report stand in many of its rows."""
    return _LINK.sub(r"\1\\\2", cell.translate(_ESCAPED))


def md_cell_of_first_release(cell: str) -> str:
    """A text as files of release 0.1 have it, which escaped less."""
    escaped = cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return escaped.replace("`", "\\`").replace("*", "\\*").replace("[", "\\[")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(md_cell, cells)) + " |\n"


@lru_cache(_TEXTS_REMEMBERED)
def _name(name: str, external_id: str) -> str:
    """A product so that it can be told from another one of the same name."""
    return name if name == external_id else f"{name} ({external_id})"


def _totals(totals: Totals, credited_minor: int) -> tuple[str, ...]:
    amounts = (
        totals.gross_minor,
        totals.billed_minor,
        credited_minor,
        totals.billed_minor - credited_minor,
        totals.duplicate_savings_minor,
        totals.cap_savings_minor,
    )
    return str(totals.actions), *map(amount_from_minor, amounts)
