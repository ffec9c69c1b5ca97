"""Drafts that were just made: what they say, and all that follows from it, computed once."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from billing.bills.digest import digest_of_text, text_of
from billing.bills.tax import BillTotals, totals_of
from billing.bills.values import Content


@dataclass(frozen=True, slots=True)
class Draft:
    """A bill and its content; `text` is the canonical JSON that the digest is taken over."""

    bill_id: UUID
    content: Content
    text: str
    digest: str
    totals: BillTotals


def draft_from_content(content: Content, bill_id: UUID | None = None) -> Draft:
    """The draft that says this, by default a new one."""
    text = text_of(content)
    return Draft(bill_id or uuid4(), content, text, digest_of_text(text), totals_of(content))
