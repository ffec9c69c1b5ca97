"""What a bill gets when it is issued as JSON, and back."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from billing.bills.canonical_json import Json
from billing.bills.tax import totals_of
from billing.bills.values import Content, Issue
from billing.money import amount_from_minor, minor_from_amount
from billing.periods import period_from_text, text_from_period


def json_from_issue(content: Content, issue: Issue) -> dict[str, Json]:
    """All that the seal is taken over beside the content; `due` is what remains after the credit applied."""
    return {
        "number": issue.number,
        "issued_on": issue.issued_on.isoformat(),
        "due_on": issue.due_on.isoformat(),
        "corrected": {text_from_period(period): number for period, number in issue.corrected.items()},
        "applied": amount_from_minor(issue.applied_minor),
        "due": amount_from_minor(totals_of(content).total_minor - issue.applied_minor),
        "language": issue.language,
        "paper": issue.paper,
    }


def issue_from_json(value: Mapping[str, Any]) -> Issue:
    """The issue that `json_from_issue` wrote. KeyError, TypeError or ValueError for what it never writes."""
    return Issue(
        number=value["number"],
        issued_on=date.fromisoformat(value["issued_on"]),
        due_on=date.fromisoformat(value["due_on"]),
        corrected={period_from_text(period): number for period, number in value["corrected"].items()},
        applied_minor=minor_from_amount(value["applied"]),
        language=value["language"],
        paper=value["paper"],
    )
