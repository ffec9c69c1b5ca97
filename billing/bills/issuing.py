"""Issuing a bill (B1, B7): from when on a partner is billed, the dates, and what the blocks must say."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from billing.bills.tax import blocks_of
from billing.bills.values import Content, Party
from billing.contracts.tax import TaxCategory
from billing.zones import zone


def issue_date(now: datetime, timezone: str, last_issued_on: date | None) -> date:
    """The day in the partner's time zone, and never before that of the partner's last bill; `now` is in UTC."""
    today = now.astimezone(zone(timezone)).date()
    return today if last_issued_on is None else max(today, last_issued_on)


def due_date(issued_on: date, payment_days: int) -> date:
    """The day by which a bill is to be paid."""
    return issued_on + timedelta(days=payment_days)


def missing_in_blocks(content: Content) -> list[str]:
    """What the blocks of the seller and the partner lack for an issue, in words."""
    return missing_in_parties((block.tax.category for block in blocks_of(content)), content.seller, content.buyer)


def missing_in_parties(categories: Iterable[TaxCategory], seller: Party, buyer: Party) -> list[str]:
    """What the seller and the partner lack for a bill with such taxes, in words.

    The seller's name always; with tax both addresses and the seller's tax id; for a reverse charge both tax ids. What
    is outside the scope of tax (O) counts as without tax.
    """
    categories = set(categories) - {TaxCategory.OUTSIDE}
    both = (("the seller", seller), ("the partner", buyer))
    missing = [] if seller.name else ["the seller's name"]
    if categories:
        missing += [f"{whose}'s address" for whose, party in both if not party.address]
        needed = both if TaxCategory.REVERSE_CHARGE in categories else both[:1]
        missing += [f"{whose}'s tax id" for whose, party in _without_tax_id(needed)]
    return missing


def _without_tax_id(parties: Iterable[tuple[str, Party]]) -> Iterable[tuple[str, Party]]:
    return ((whose, party) for whose, party in parties if not party.tax_id)
