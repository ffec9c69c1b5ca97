"""Payments, refunds and opening items (B9): entered once by the caller's id, allocated anew, taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from billing.bills.account import EntryKind, entry_minor
from billing.errors import RuleViolation
from billing.money import amount_from_minor
from db.account import booking, entries
from db.account.entries import AccountEntry, NewEntry
from db.bills import account_history
from db.core import locks
from db.core.row_keys import document_uuid
from db.core.unit_of_work import UnitOfWork

NAMES = {EntryKind.PAYMENT: "payment", EntryKind.REFUND: "refund", EntryKind.OPENING_ITEM: "opening item"}
"""How the kinds are called in sentences."""


@dataclass(frozen=True, slots=True)
class Document:
    """A payment, a refund or an opening item of an existing partner; `named` says what a payment is for.

    Only an opening item may be below zero. `paid_on` may lie before the day of entry and counts for nothing.
    """

    kind: EntryKind
    external_id: str
    partner_id: UUID
    amount_minor: int
    reference: str
    paid_on: date | None = None
    due_on: date | None = None
    named: Mapping[UUID, int] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """The row key."""
        return document_uuid(self.kind, self.external_id)

    def entry(self) -> NewEntry:
        """What is booked for it."""
        return NewEntry(
            id=self.id,
            kind=self.kind,
            amount_minor=entry_minor(self.kind, self.amount_minor),
            document=self.reference,
            due_on=self.due_on,
            external_id=self.external_id,
            paid_on=self.paid_on,
            named=self.named,
        )

    def is_on_record(self, stored: AccountEntry) -> bool:
        """Whether an entry was booked for the same document."""
        entry = stored.entry
        return (
            stored.partner_id == self.partner_id
            and (entry.kind, entry.amount_minor) == (self.kind, entry_minor(self.kind, self.amount_minor))
            and (entry.document, entry.paid_on, entry.named) == (self.reference, self.paid_on, self.named)
            and self.due_on in (None, entry.due_on)
        )


async def enter(uow: UnitOfWork, document: Document, now: datetime) -> bool:
    """Book a document; False if it is there already, just so.

    RuleViolation if another one has its id, for a refund of more than is left, and for naming more than is open.
    """
    await locks.lock_bills_exclusive(uow.connection, document.partner_id)
    stored = await entries.read(uow.connection, document.id)
    if stored and document.is_on_record(stored):
        return False
    uses = None if stored else await booking.book(uow, document.partner_id, document.entry(), now)
    if uses is None:
        raise RuleViolation(f"There is a document {document.external_id!r} already, and it says something else.")
    facts = {
        "partner": document.partner_id,
        "amount": amount_from_minor(document.amount_minor),
        "reference": document.reference,
    }
    await uow.audit(f"{document.kind}.entered", document.id, after=facts)
    await account_history.add(uow, uses, f"{NAMES[document.kind]} {document.external_id}")
    return True


async def allocate(uow: UnitOfWork, payment_id: UUID, named: Mapping[UUID, int], now: datetime) -> bool:
    """Use a payment for what is named now, and the rest of it as any credit; False if there is no such payment.

    RuleViolation for naming more than the payment has or is open, and for a payment that was reversed.
    """
    payment = await _locked(uow, EntryKind.PAYMENT, payment_id)
    if payment is None:
        return False
    if payment.reversal:
        raise RuleViolation("The payment was reversed.")
    uses = await booking.allocate(uow, payment, named, now)
    facts = {"allocations": {str(charge_id): amount_from_minor(amount) for charge_id, amount in named.items()}}
    await uow.audit("payment.allocated", payment_id, after=facts)
    await account_history.add(uow, uses, f"payment {payment.entry.external_id}, allocated anew")
    return True


async def reverse(uow: UnitOfWork, kind: EntryKind, entry_id: UUID, reason: str, now: datetime) -> bool:
    """Take a document back by an entry that mirrors it; False if there is none. Again it changes nothing."""
    entry = await _locked(uow, kind, entry_id)
    if entry is None:
        return False
    if entry.reversal is None:
        uses = await booking.reverse(uow, entry, reason, now)
        await uow.audit(f"{kind}.reversed", entry_id, after={"reason": reason})
        await account_history.add(uow, uses, f"{NAMES[kind]} {entry.entry.external_id} was reversed: {reason}")
    return True


async def _locked(uow: UnitOfWork, kind: EntryKind, entry_id: UUID) -> AccountEntry | None:
    """A document as it stands under the lock of its partner's bills; None if there is none."""
    found = await entries.read(uow.connection, entry_id)
    if found is None or found.entry.kind is not kind:
        return None
    await locks.lock_bills_exclusive(uow.connection, found.partner_id)
    return await entries.read(uow.connection, entry_id)
