"""A bill as PDF: the same bytes on every machine."""

from pathlib import Path

from billing.bills.values import Content, Issue
from db.bills.files.printed import printed_bill
from db.reports.typesetting import pdf_from_template

_TEMPLATE = Path(__file__).with_name("bill.typ")


def pdf_file(content: Content, issue: Issue) -> bytes:
    """The PDF of a bill or a credit note; its date is that of the issue."""
    return pdf_from_template(_TEMPLATE, printed_bill(content, issue), issue.issued_on)
