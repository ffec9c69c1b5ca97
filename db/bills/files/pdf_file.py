"""A bill as PDF: the same bytes on every machine."""

from pathlib import Path
from typing import Any

from billing.bills.values import Content, Issue
from db.bills.files.printed import printed_bill
from db.reports.typesetting import set_pages

_TEMPLATE = Path(__file__).with_name("bill.typ")


def pdf_file(content: Content, issue: Issue) -> bytes:
    """The PDF of a bill or a credit note; its date is that of the issue."""
    pdf: bytes = _compiled(content, issue, format="pdf")
    return pdf


def pictures_of_pages(content: Content, issue: Issue, dots_per_inch: float = 110) -> list[bytes]:
    """The pages as PNG, for people who look at the template."""
    pages = _compiled(content, issue, format="png", ppi=dots_per_inch)
    return pages if isinstance(pages, list) else [pages]


def _compiled(content: Content, issue: Issue, **how: Any) -> Any:
    return set_pages(_TEMPLATE, printed_bill(content, issue), issue.issued_on, **how)
