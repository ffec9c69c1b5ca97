"""What the routes of bills and adjustments take and give."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from api.schemas.fields import Body, Digest, Id, LongText, Period, Text, UuidText
from api.schemas.mail import mail_out
from api.wire import amount_out, instant_out
from billing.bills.approvals import Review
from billing.bills.lines import Adjustment
from billing.bills.states import Move
from billing.bills.values import LineTax
from billing.bills.wire import json_from_content
from billing.contracts.tax import Tax, TaxCategory, rate_bp_from_wire
from billing.errors import InvalidValue
from billing.money import MOST_MINOR, amount_up_to
from billing.periods import text_from_period
from db.bills.adjustments import AdjustmentEntry
from db.bills.files.stored import StoredFile
from db.bills.history import BillAction
from db.bills.records import Bill, BillHead
from db.core.actor import Actor
from db.mail.outgoing import OutgoingMail

MOST_MOVED = 200


def _signed_amount(value: object) -> int:
    if not isinstance(value, str):
        raise InvalidValue('must be a decimal string, like "-50.00"')
    minor = amount_up_to(MOST_MINOR, value.removeprefix("-"))
    if minor == 0:
        raise InvalidValue("must not be 0.00")
    return -minor if value.startswith("-") else minor


SignedAmount = Annotated[
    int,
    BeforeValidator(_signed_amount),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]{1,10}(\.[0-9]{1,2})?$", "examples": ["-50.00"]}),
]


class BillIn(Body):
    """Whose bill to make, of which period."""

    partner: Id
    period: Period


class MoveIn(Body):
    """A move of a bill as it was seen."""

    digest: Digest
    comment: LongText | None = None


class ReasonedMoveIn(Body):
    """A move that says why."""

    digest: Digest
    reason: LongText


class DisputeIn(Body):
    """Why a bill is disputed; null: it is not any more."""

    digest: Digest
    reason: LongText | None


class BillToMove(Body):
    """A bill and its digest as it was seen."""

    bill: UuidText
    digest: Digest


class MovesIn(Body):
    """One move of many bills."""

    move: Literal["submit", "recall", "approve", "withdraw", "revise", "issue", "refresh"]
    comment: LongText | None = None
    bills: list[BillToMove] = Field(min_length=1, max_length=MOST_MOVED)


class LineTaxIn(Body):
    """How an amount is taxed."""

    category: TaxCategory
    rate: Annotated[int, BeforeValidator(rate_bp_from_wire), WithJsonSchema({"type": "string", "examples": ["20.00"]})]

    @model_validator(mode="after")
    def _is_a_tax(self) -> Self:
        Tax(self.category, self.rate)
        return self


class AdjustmentIn(Body):
    """An amount that is added to a period, or taken off; without `tax`, that of the terms counts."""

    partner: Id
    period: Period
    text: Text
    amount: SignedAmount
    reason: LongText
    tax: LineTaxIn | None = None

    def adjustment(self) -> Adjustment:
        """The adjustment as the rules know it."""
        tax = LineTax(self.tax.category, Decimal(self.tax.rate) / 100) if self.tax else None
        return Adjustment(self.text, self.amount, self.reason, tax, "tax" in self.model_fields_set)


def bill_out(
    bill: Bill,
    *,
    review: Review | None,
    names: Mapping[UUID, str],
    moves: Sequence[Move],
    files: Sequence[StoredFile],
    corrected: Mapping[int, str],
    mails: Sequence[OutgoingMail] | None,
    returned_beside_minor: int | None = None,
) -> dict[str, Any]:
    """A bill with its lines; `corrected` are numbers by period. None hides who approves it, or what was sent."""
    content = json_from_content(bill.content)
    lines: Any = content["lines"]
    applied = bill.issue.applied_minor if bill.issue else 0
    return {
        **head_out(bill.head),
        "lines": [{**line, "corrects": line["corrects"] and _corrected_out(bill, line, corrected)} for line in lines],
        "taxes": content["taxes"],
        "carried_forward": content["carried_forward"],
        "applied": amount_out(applied),
        "due": amount_out(bill.head.totals.total_minor - applied),
        "seller": content["seller"],
        "buyer": content["buyer"],
        "terms": content["terms"],
        "usage": content["usage"],
        "report": content["report"],
        "credit_note": content["credit_note"],
        "returned_beside": None if returned_beside_minor is None else amount_out(returned_beside_minor),
        "approvals": review and _review_out(review, names),
        "moves": [move.value for move in moves],
        "files": [
            {
                "format": file.format,
                "url": f"/api/bills/{bill.head.id}/files/{file.format}",
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            for file in files
        ],
        "mails": None if mails is None else [mail_out(mail) for mail in mails],
    }


def head_out(head: BillHead) -> dict[str, Any]:
    """A bill as it stands in lists."""
    return {
        "bill_id": head.id,
        "number": head.number,
        "partner": head.partner,
        "period": text_from_period(head.period),
        "currency": head.currency,
        "state": head.shown_state,
        "digest": head.digest,
        "seal": head.seal,
        "net": amount_out(head.totals.net_minor),
        "tax": amount_out(head.totals.tax_minor),
        "gross": amount_out(head.totals.gross_minor),
        "total": amount_out(head.totals.total_minor),
        "open": amount_out(head.open_minor),
        "issued_on": head.issued_on and head.issued_on.isoformat(),
        "due_on": head.due_on and head.due_on.isoformat(),
        "disputed": head.dispute,
        "corrects": head.corrects_id,
        "created_at": instant_out(head.created_at),
    }


def action_out(action: BillAction) -> dict[str, Any]:
    """One move in the history of a bill."""
    return {
        "at": instant_out(action.at),
        "who": who_out(action.who),
        "move": action.move,
        "from": action.from_state,
        "to": action.to_state,
        "digest": action.digest,
        "comment": action.comment,
    }


def adjustment_out(entry: AdjustmentEntry) -> dict[str, Any]:
    """An adjustment."""
    adjustment = entry.adjustment
    tax = adjustment.tax
    return {
        "adjustment_id": entry.id,
        "partner": entry.partner,
        "period": text_from_period(entry.period),
        "text": adjustment.text,
        "amount": amount_out(adjustment.amount_minor),
        "currency": entry.currency,
        "reason": adjustment.reason,
        "tax": tax and {"category": tax.category.value, "rate": f"{tax.rate:.2f}"},
        "own_tax": adjustment.own_tax,
        "entered_at": instant_out(entry.entered_at),
        "entered_by": who_out(entry.who),
        "taken_back_at": instant_out(entry.taken_back_at),
    }


def _corrected_out(bill: Bill, line: Mapping[str, Any], corrected: Mapping[int, str]) -> dict[str, Any]:
    numbers = bill.issue.corrected if bill.issue else corrected
    by_text = {text_from_period(period): number for period, number in numbers.items()}
    return {"period": line["corrects"], "number": by_text.get(line["corrects"])}


def _review_out(review: Review, names: Mapping[UUID, str]) -> dict[str, Any]:
    return {
        "asked": [place.value for place in review.asked],
        "given": [
            {
                "by": given.place and given.place.value,
                "who": {"kind": "user", "id": given.person, "name": names.get(given.person, "")},
                "override": given.is_override,
            }
            for given in review.given
        ],
    }


def who_out(who: Actor) -> dict[str, Any]:
    """Who did something."""
    return {"kind": who.kind.value, "id": who.id, "name": who.name}
