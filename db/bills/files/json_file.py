"""A bill as JSON: what `leadger verify` proves."""

import json

from billing.bills.digest import document_from_bill
from billing.bills.values import Content, Issue


def json_file(content: Content, issue: Issue) -> bytes:
    """The sealed content with digest and seal, indented for people."""
    return (json.dumps(document_from_bill(content, issue), indent=2, ensure_ascii=False) + "\n").encode()
