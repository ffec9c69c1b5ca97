"""Telling webhooks of what became of a bill or a credit note."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from billing.bills.states import PAID, State
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.webhooks.events import Event
from db.bills import records
from db.bills.records import BillHead
from db.core.unit_of_work import UnitOfWork
from db.outgoing import events

_BY_STATE = {
    State.PENDING: Event.BILL_PENDING,
    State.APPROVED: Event.BILL_APPROVED,
    State.REJECTED: Event.BILL_REJECTED,
    State.ISSUED: Event.BILL_ISSUED,
}


async def tell_moved(uow: UnitOfWork, before: State, head: BillHead) -> None:
    """Tell of a bill that has another state than before, given as it is now; of one that needs no payment also that."""
    if head.state is before or head.state not in _BY_STATE:
        return
    await _tell(uow, _BY_STATE[head.state], head)
    if head.shown_state == PAID:
        await _tell(uow, Event.BILL_PAID, head)


async def tell_all_moved(uow: UnitOfWork, event: Event, bill_ids: Sequence[UUID]) -> None:
    """Tell of bills that were all moved to the state that an event is about."""
    if bill_ids and (to := await events.subscribers(uow.connection, event)):
        heads = await records.read_heads(uow.connection, bill_ids)
        await events.write(uow.connection, event, [(_data(head), head.partner_id) for head in heads], to)


async def tell_if_paid(uow: UnitOfWork, bill_id: UUID) -> None:
    """Tell of a bill that was covered, if nothing of it is open any more."""
    bill = await records.read(uow.connection, bill_id)
    if bill and bill.head.shown_state == PAID:
        await _tell(uow, Event.BILL_PAID, bill.head)


async def _tell(uow: UnitOfWork, event: Event, head: BillHead) -> None:
    await events.tell(uow.connection, event, _data(head), head.partner_id)


def _data(head: BillHead) -> dict[str, Any]:
    return {
        "bill_id": head.id,
        "kind": "credit_note" if head.corrects_id else "bill",
        "corrects": head.corrects_id,
        "number": head.number,
        "partner": head.partner,
        "partner_name": head.partner_name,
        "period": text_from_period(head.period),
        "currency": head.currency,
        "state": head.shown_state,
        "digest": head.digest,
        "gross": amount_from_minor(head.totals.gross_minor),
        "total": amount_from_minor(head.totals.total_minor),
        "open": amount_from_minor(head.open_minor),
        "issued_on": head.issued_on,
        "due_on": head.due_on,
    }
