"""A bill as PDF, set by Typst from a template of ours, in Typst's own fonts: every machine makes the same bytes."""

import json
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import typst

from billing.bills.values import Content, Issue
from db.bills.files.printed import printed_bill

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
    return typst.compile(
        _TEMPLATE.read_bytes(),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"bill": json.dumps(printed_bill(content, issue))},
        timestamp=datetime.combine(issue.issued_on, time(), UTC),
        **how,
    )


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)
