"""What the routes of accounts take and give."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.schemas.bills import SignedAmount, who_out
from api.schemas.fields import Body, Day, Id, LongText, Text
from api.wire import amount_out, instant_out
from billing.bills.account import EntryKind
from billing.errors import InvalidValue
from billing.money import MOST_MINOR, amount_up_to
from db.account.entries import AccountEntry
from db.account.open_items import OtherSide

MOST_ALLOCATIONS = 500


def _above_zero(value: object) -> int:
    minor = amount_up_to(MOST_MINOR, value)
    if minor == 0:
        raise InvalidValue("must not be 0.00")
    return minor


AmountAboveZero = Annotated[
    int,
    BeforeValidator(_above_zero),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,2})?$", "examples": ["10.00"]}),
]


class AllocationIn(Body):
    """So much of a payment is for a bill, by its id or its number."""

    bill: Id
    amount: AmountAboveZero


Allocations = Annotated[list[AllocationIn], Field(max_length=MOST_ALLOCATIONS)]


class PaymentIn(Body):
    """Money that a partner paid; without `allocations`, or beyond them, it is for what is due first."""

    external_id: Id
    partner: Id
    amount: AmountAboveZero
    paid_on: Day
    reference: Text
    allocations: Allocations = Field(default_factory=list)


class AllocationsIn(Body):
    """What a payment is for, instead of what it was for before."""

    allocations: Allocations


class RefundIn(Body):
    """Money that was paid back to a partner."""

    external_id: Id
    partner: Id
    amount: AmountAboveZero
    paid_on: Day
    reference: Text


class OpeningItemIn(Body):
    """What was open before Leadger billed the partner; below zero, what the partner had paid too much."""

    external_id: Id
    partner: Id
    amount: SignedAmount
    due_on: Day | None = None
    reference: Text


class ReversalIn(Body):
    """Why something is taken back."""

    reason: LongText


def document_out(found: AccountEntry, others: Iterable[OtherSide]) -> dict[str, Any]:
    """A payment, a refund or an opening item, with what it covers or what covers it."""
    entry, reversal = found.entry, found.reversal
    amount = entry.amount_minor if entry.kind is EntryKind.OPENING_ITEM else abs(entry.amount_minor)
    is_charge = entry.amount_minor > 0
    return {
        f"{entry.kind}_id": entry.id,
        "external_id": entry.external_id,
        "partner": found.partner,
        "currency": found.currency,
        "amount": amount_out(amount),
        "paid_on": _day_out(entry.paid_on),
        "due_on": _day_out(entry.due_on),
        "booked_on": _day_out(found.booked_on),
        "reference": entry.document,
        "allocations": [
            {
                "bill": other.id if other.kind is EntryKind.BILL else None,
                "kind": other.kind.value,
                "document": other.document,
                "amount": amount_out(other.amount_minor),
            }
            for other in others
        ],
        "open": amount_out(found.rest_minor if is_charge else 0),
        "left": amount_out(0 if is_charge else found.rest_minor),
        "entered_at": instant_out(found.entered_at),
        "entered_by": who_out(found.who),
        "reversed": reversal
        and {"at": instant_out(reversal.at), "by": who_out(reversal.who), "reason": reversal.reason},
    }


def _day_out(day: date | None) -> str | None:
    return day.isoformat() if day else None
