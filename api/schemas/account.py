"""What the routes of accounts take and give."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from api.schemas.bills import SignedAmount, who_out
from api.schemas.fields import Body, Day, Id, LongText, Text
from api.wire import amount_out, instant_out
from billing.bills.account import EntryKind
from billing.bills.statement import Statement
from billing.errors import InvalidValue
from billing.money import MOST_MINOR, amount_up_to
from db.account.ageing import PartnerAgeing
from db.account.entries import AccountEntry
from db.account.open_items import OtherSide
from db.masters.partners import Partner

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


class NotedLineIn(Body):
    """How much of a line is credited, before tax."""

    line: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    net: AmountAboveZero


class CreditNoteIn(Body):
    """A credit note over lines of an issued bill, or over all that is left of it, which cancels it."""

    bill: Id
    lines: Annotated[list[NotedLineIn], Field(min_length=1, max_length=1000)] | None = None
    cancel: StrictBool | None = Field(None, description="true: all that is left of the bill")
    reason: LongText

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.lines is None) == (not self.cancel):
            raise ValueError("must name either lines or cancel")
        if self.lines and len({line.line for line in self.lines}) != len(self.lines):
            raise ValueError("must name a line once")
        return self

    def amounts(self) -> dict[int, int] | None:
        """The amounts by line; None to cancel."""
        return {line.line: line.net for line in self.lines} if self.lines else None


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


def statement_out(partner: Partner, start: date | None, end: date, found: Statement) -> dict[str, Any]:
    """A statement; `start` None is since the beginning."""
    return {
        "partner": partner.external_id,
        "currency": partner.currency,
        "from": _day_out(start),
        "to": _day_out(end),
        "opening": amount_out(found.opening_minor),
        "entries": [
            {
                "booked_on": _day_out(entry.booked_on),
                "kind": entry.kind.value,
                "document": entry.document,
                "paid_on": _day_out(entry.paid_on),
                "amount": amount_out(entry.amount_minor),
                "balance": amount_out(balance),
            }
            for entry, balance in found.entries
        ],
        "closing": amount_out(found.closing_minor),
    }


def ageing_out(found: PartnerAgeing) -> dict[str, Any]:
    """What a partner owes at the end of a day."""
    columns = found.columns
    return {
        "partner": found.partner,
        "currency": found.currency,
        "not_due": amount_out(columns.not_due_minor),
        "1_30": amount_out(columns.days_1_30_minor),
        "31_60": amount_out(columns.days_31_60_minor),
        "61_90": amount_out(columns.days_61_90_minor),
        "over_90": amount_out(columns.over_90_minor),
        "open": amount_out(columns.open_minor),
        "disputed": amount_out(columns.disputed_minor),
        "left": amount_out(columns.left_minor),
    }


def _day_out(day: date | None) -> str | None:
    return day.isoformat() if day else None
