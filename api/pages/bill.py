"""One bill: what it is, whether it is right, and what this person may do."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.movers import mover_of
from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner
from api.pages.forms import Act, Form, number_from_text, submitted
from api.pages.languages import language_of_partner
from api.pages.navigation import paths_of
from api.pages.rendering import led_to, page
from api.pages.words import words_for
from api.problems import FieldError, Problem
from api.routes import credit_notes, mail, payments, write_offs
from api.routes.bills import check_mover, file_response, found_bill, moved_bill
from api.routing import Route
from api.schemas.account import CreditNoteIn, PaymentIn, ReversalIn
from api.schemas.bills import DisputeIn, MoveIn, ReasonedMoveIn
from api.schemas.fields import UuidPath
from api.schemas.mail import SendIn
from api.state import state_of, unit_of_work
from billing.bills.account import EntryKind
from billing.bills.approvals import Review, why_no_approval
from billing.bills.comparison import causes
from billing.bills.credit_notes import cancelling_note, left_of_line
from billing.bills.moves import MoveRefused
from billing.bills.states import MOVES, Move, State
from billing.bills.tax import blocks_of, totals_of
from billing.errors import RuleViolation
from billing.money import amount_from_minor
from billing.periods import previous_period
from db.account import open_items
from db.bills import credit_notes as notes
from db.bills import documents, history, issuing, moves, overdue, records, reviews
from db.bills.files import stored
from db.bills.files.formats import BillFormat
from db.bills.filters import BillFilter
from db.bills.mail import sending
from db.bills.mail.composing import NoAddress
from db.bills.moves import Asked
from db.bills.records import Bill, BillHead
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text
from db.mail import outgoing
from db.masters import partners

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/bills/{bill_id}")
_BILL = requires(Permission.BILL)
_MOST_ACTIONS = 200
_LINE = re.compile(r"line-[0-9]+")
_DONE = {
    Move.SUBMIT: "The bill is submitted.",
    Move.RECALL: "The bill is a draft again.",
    Move.REFRESH: "The draft is made anew.",
    Move.REVISE: "The bill is a draft again.",
    Move.ISSUE: "The bill is issued; its files are being made.",
    Move.VOID: "The bill is void.",
    Move.APPROVE: "You approved the bill.",
    Move.WITHDRAW: "Your approval is withdrawn.",
    Move.REJECT: "You rejected the bill.",
}
_WAITS = {
    State.DRAFT: "Finance works on this draft.",
    State.APPROVED: "It is approved, and Finance issues it.",
    State.REJECTED: "It was rejected, and Finance revises it.",
}


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_bill(request: Request, bill_id: UuidPath) -> Response:
    """The page of a bill or a credit note."""
    return await _show(request, Form(), bill_id)


@router.get("/files/{kind}", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_file(request: Request, bill_id: UuidPath, kind: BillFormat) -> Response:
    """A file of an issued bill, to be shown in its page."""
    return await file_response(request, bill_id, kind, is_attached=False)


@router.post("/move", dependencies=[requires(Permission.READ)])
async def move_bill_here(request: Request, bill_id: UuidPath) -> Response:
    """Make a move of the bill as it was seen."""

    async def act(form: Form) -> Response:
        if form.value("move") not in _DONE:
            raise Problem(400, "Choose what to do with the bill.")
        move = Move(form.value("move"))
        check_mover(request, move)
        if MOVES[move].needs_reason:
            given = form.read(ReasonedMoveIn)
            asked = Asked(move, given.digest, given.reason)
        else:
            seen = form.read(MoveIn)
            asked = Asked(move, seen.digest, seen.comment)
        if move is Move.ISSUE:
            await _check_amount(request, bill_id, form)
        try:
            await moved_bill(request, bill_id, asked)
        except MoveRefused:
            if (await _read(request, bill_id)).head.digest != asked.digest:
                raise Problem(
                    409, "The bill has changed since you looked at it. Look again before you decide."
                ) from None
            raise
        return led_to(request, f"/bills/{bill_id}", _DONE[move])

    return await _submitted(request, bill_id, act)


@router.post("/payment", dependencies=[_BILL])
async def enter_payment_here(request: Request, bill_id: UuidPath) -> Response:
    """Enter a payment for the bill."""

    async def act(form: Form) -> Response:
        bill = await _read(request, bill_id)
        amount = form.amount("amount")
        typed = {name: form.value(name) for name in ("external_id", "paid_on", "reference")}
        allocations = [{"bill": str(bill_id), "amount": amount}]
        if amount:
            typed["amount"] = amount
        sent: dict[str, Any] = {**typed, "partner": bill.head.partner, "allocations": allocations if amount else []}
        form.fields = {"#/allocations/0/amount": "amount"}
        await payments.enter_payment(request, form.read_as(PaymentIn, sent))
        return led_to(request, f"/bills/{bill_id}", f"The payment of {form.value('amount').strip()} is entered.")

    return await _submitted(request, bill_id, act)


@router.post("/payment/reverse", dependencies=[_BILL])
async def reverse_payment_here(request: Request, bill_id: UuidPath) -> Response:
    """Take back a payment that covers the bill."""

    async def act(form: Form) -> Response:
        reason, payment_id = form.read(ReversalIn).reason, uuid_from_text(form.value("payment"))
        async with unit_of_work(request) as uow:
            if not payment_id or not await documents.reverse(
                uow, EntryKind.PAYMENT, payment_id, reason, datetime.now(UTC)
            ):
                raise Problem(404, "There is no such payment.")
        return led_to(request, f"/bills/{bill_id}", "The payment is taken back; what it covered is open again.")

    return await _submitted(request, bill_id, act)


@router.post("/send", dependencies=[_BILL])
async def send_bill_here(request: Request, bill_id: UuidPath) -> Response:
    """Send the bill to the partner's addresses, once its mail was shown."""

    async def act(form: Form) -> Response:
        await mail.send_bill(request, bill_id, form.read(SendIn))
        return led_to(request, f"/bills/{bill_id}", "The bill is on its way by mail.")

    return await _submitted(request, bill_id, act)


@router.post("/credit-note", dependencies=[_BILL])
async def create_credit_note_here(request: Request, bill_id: UuidPath) -> Response:
    """Make a credit note over some lines of the bill, as a draft."""

    async def act(form: Form) -> Response:
        typed = [name for name, text in form.typed() if _LINE.fullmatch(name) and text.strip()]
        lines = [{"line": number_from_text(name.removeprefix("line-")), "net": form.amount(name)} for name in typed]
        form.fields = {f"#/lines/{place}/net": name for place, name in enumerate(typed)}
        if not lines:
            raise Problem(400, "Say how much is taken back of a line.")
        return await _noted(request, bill_id, form, "credit_id", {"lines": lines})

    return await _submitted(request, bill_id, act)


@router.post("/cancel", dependencies=[_BILL])
async def cancel_bill_here(request: Request, bill_id: UuidPath) -> Response:
    """Make a credit note over all that is left of the bill, whose issue cancels it."""

    async def act(form: Form) -> Response:
        number = (await _read(request, bill_id)).head.number
        if form.value("number").strip() != number:
            raise Problem(400, "The number is another one.", [FieldError("#/number", f"must be {number}")])
        return await _noted(request, bill_id, form, "cancel_id", {"cancel": True})

    return await _submitted(request, bill_id, act)


@router.post("/dispute", dependencies=[_BILL])
async def dispute_bill_here(request: Request, bill_id: UuidPath) -> Response:
    """Say why the bill is disputed, or that it is not any more."""

    async def act(form: Form) -> Response:
        ends = form.value("ends") != ""
        sent = {"digest": form.value("digest"), "reason": None if ends else form.value("reason")}
        await write_offs.dispute_bill(request, bill_id, form.read_as(DisputeIn, sent))
        return led_to(request, f"/bills/{bill_id}", "The dispute has ended." if ends else "The bill is disputed.")

    return await _submitted(request, bill_id, act)


@router.post("/write-off", dependencies=[_BILL])
async def write_off_bill_here(request: Request, bill_id: UuidPath) -> Response:
    """Write off what is open of the bill, or take that back."""

    async def act(form: Form) -> Response:
        body = form.read(ReversalIn)
        if form.value("back"):
            await write_offs.take_back_write_off(request, bill_id, body)
            return led_to(request, f"/bills/{bill_id}", "The write-off is taken back; the bill is open again.")
        await _check_amount(request, bill_id, form, is_open=True)
        await write_offs.write_off_bill(request, bill_id, body)
        return led_to(request, f"/bills/{bill_id}", "What was open is written off.")

    return await _submitted(request, bill_id, act)


async def _submitted(request: Request, bill_id: UUID, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, bill_id)

    return await submitted(request, act, show)


async def _noted(request: Request, bill_id: UUID, form: Form, id_field: str, what: dict[str, Any]) -> Response:
    sent = {"bill": str(bill_id), "reason": form.value("reason"), **what}
    body = form.read_as(CreditNoteIn, sent)
    async with unit_of_work(request) as uow:
        note_id = await credit_notes.make_credit_note(uow, body, uuid_from_text(form.value(id_field)))
    return led_to(request, f"/bills/{note_id}", "The credit note is a draft; submit it.")


async def _read(request: Request, bill_id: UUID) -> Bill:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        return await found_bill(request, connection, bill_id)


async def _check_amount(request: Request, bill_id: UUID, form: Form, *, is_open: bool = False) -> None:
    """Problem 400 unless the amount was typed that a grave act is about."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        head = (await found_bill(request, connection, bill_id)).head
        language = await language_of_partner(connection, head.partner_id)
    minor = head.open_minor if is_open else head.totals.gross_minor
    if form.amount("confirmed") != amount_from_minor(minor):
        shown = (words_for(language) if language else form.words).amount(minor)
        raise Problem(400, "The amount is another one.", [FieldError("#/confirmed", f"must be {shown}")])


async def _show(request: Request, form: Form, bill_id: UUID) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        bill = await found_bill(request, connection, bill_id)
        context = await _facts(connection, bill)
        language = await language_of_partner(connection, bill.head.partner_id)
        if own_partner(request) is None:
            context |= await _inner(request, connection, bill)
    can_open_leads = "/activity" in paths_of(request)
    return page(
        request,
        "bill.html",
        status=form.status,
        language=language,
        form=form,
        bill=bill,
        can_open_leads=can_open_leads,
        **context,
    )


async def _facts(connection: asyncpg.Connection, bill: Bill) -> dict[str, Any]:
    """What everybody is shown who may see the bill."""
    head = bill.head
    before_id = None
    if head.corrects_id is None:
        before_id = await records.live_of(connection, head.partner_id, previous_period(head.period))
    before = await records.read(connection, before_id) if before_id else None
    if before and before.issue is None and bill.issue:
        before = None
    partner = await partners.read(connection, head.partner_id)
    assert partner is not None
    covered = await open_items.other_sides(connection, [head.id])
    return {
        "blocks": blocks_of(bill.content),
        "applied_minor": bill.issue.applied_minor if bill.issue else 0,
        "before": before,
        "causes": causes(before.content, bill.content) if before else [],
        "timezone": partner.timezone,
        "line_labels": {f"line-{line.number}": line.text for line in bill.content.lines},
        "covered": covered.get(head.id, []),
        "files": await stored.read(connection, head.id),
        "corrected": await issuing.numbers_of_corrected(connection, bill),
        "corrects": await records.read(connection, head.corrects_id) if head.corrects_id else None,
        "notes": await records.page(connection, BillFilter(corrects_id=head.id), before=None, limit=50),
        "is_overdue": head.id in await overdue.among(connection, [head], datetime.now(UTC)),
        "can": (),
        "review": None,
        "actions": [],
        "names": {},
        "why_none": "",
        "left_of_lines": {},
        "cancelling": None,
        "returned_minor": None,
        "is_ours": False,
        "new_ids": {},
        "mails": [],
        "sending": None,
        "why_not_sent": "",
        "lacks_address": False,
    }


async def _inner(request: Request, connection: asyncpg.Connection, bill: Bill) -> dict[str, Any]:
    """What our own people are shown: moves, approvals, history."""
    caller, head = caller_of(request), bill.head
    review = await reviews.read(connection, head)
    can = await moves.open_to(connection, head, caller.actor, mover_of(request))
    actions = await history.read(connection, head.id, limit=_MOST_ACTIONS)
    names = await reviews.names(connection, (given.person for given in review.given))
    left: dict[int, int] = {}
    cancelling, returned_minor = None, await notes.returned_beside(connection, bill)
    if head.state is State.ISSUED and head.corrects_id is None and caller.may(Permission.BILL):
        taken = await notes.taken_back(connection, bill)
        left = {line.number: left_of_line(line, taken) for line in bill.content.lines}
        if not taken.was_written_off:
            cancelling = totals_of(cancelling_note(bill.content, taken, ""))
        returned_minor = sum(taken.returned_minor.values())
    sent, why_not_sent, lacks_address = None, "", False
    if head.state is State.ISSUED and caller.may(Permission.BILL):
        try:
            sent = await sending.preview(connection, head.id, None)
        except RuleViolation as refusal:
            why_not_sent, lacks_address = str(refusal), isinstance(refusal, NoAddress)
    return {
        "can": [move.value for move in can],
        "review": review,
        "names": names,
        "actions": actions[::-1],
        "why_none": await _why_none(request, connection, head, review),
        "left_of_lines": left,
        "cancelling": cancelling,
        "returned_minor": returned_minor,
        "is_ours": True,
        "new_ids": {"payment": f"page-{uuid4()}", "credit": uuid4(), "cancel": uuid4()},
        "mails": await outgoing.of_bill(connection, head.id),
        "sending": sent,
        "why_not_sent": why_not_sent,
        "lacks_address": lacks_address,
    }


async def _why_none(request: Request, connection: asyncpg.Connection, head: BillHead, review: Review) -> str:
    """Why a bill waits for somebody else, in one sentence; empty if it waits for nobody here."""
    if head.state is State.PENDING:
        mover = mover_of(request)
        caller = await reviews.caller(connection, caller_of(request).actor, mover.person, mover.role, head)
        reason = why_no_approval(review, caller)
        return f"{reason}." if reason else ""
    return _WAITS.get(head.state, "")
