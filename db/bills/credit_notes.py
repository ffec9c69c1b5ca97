"""Credit notes (B8): drafts over lines of an issued bill, or over all of it, which go the way of a bill."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import msgspec

from billing.bills.credit_notes import TakenBack, cancelling_note, credit_note
from billing.bills.states import Move, State
from billing.bills.values import Content, LineKind
from billing.bills.wire import content_from_json
from billing.errors import RuleViolation
from db.bills import history, records
from db.bills.drafts import draft_from_content
from db.bills.records import Bill
from db.core import locks
from db.core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Wanted:
    """A credit note that somebody asks for: amounts by line number, or None to cancel the bill."""

    amounts: Mapping[int, int] | None
    reason: str


async def create(uow: UnitOfWork, bill_id: UUID, wanted: Wanted, note_id: UUID | None = None) -> UUID | None:
    """Make a credit note of a bill as a draft; returns its id, None if there is no such bill.

    With a `note_id`, made by whoever asks, a second call changes nothing.
    RuleViolation if the bill is not issued or was written off, and for more than notes and returns left of a line.
    """
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    if partner_id is None:
        return None
    await locks.lock_bills_exclusive(connection, partner_id)
    if note_id and (note := await records.read(connection, note_id)) and note.head.corrects_id == bill_id:
        return note_id
    bill = await records.read(connection, bill_id)
    assert bill is not None
    content = await _content(connection, bill, wanted)
    note_id = note_id or uuid4()
    draft = draft_from_content(content, note_id)
    await records.insert_all(connection, [(partner_id, draft)], corrects_id=bill_id)
    await history.add(connection, note_id, uow.actor, Move.CREATE, None, State.DRAFT, draft.digest, wanted.reason)
    await uow.audit("credit_note.created", note_id, after={"bill": bill_id, "reason": wanted.reason})
    return note_id


async def content_now(connection: asyncpg.Connection, note: Bill) -> Content:
    """What a credit note would say now; RuleViolation if its bill does not allow it any more."""
    noted, bill_id = note.content.noted, note.head.corrects_id
    assert noted is not None
    assert bill_id is not None
    bill = await records.read(connection, bill_id)
    assert bill is not None
    amounts = None if noted.cancels else {line.number: line.net_minor for line in note.content.lines}
    return await _content(connection, bill, Wanted(amounts, noted.reason))


async def cancel_corrected(uow: UnitOfWork, note: Bill) -> None:
    """Cancel the bill of a note that is issued now, if the note is over all that was left of it."""
    noted, bill_id = note.content.noted, note.head.corrects_id
    if noted is None or not noted.cancels or bill_id is None:
        return
    bill = await records.read(uow.connection, bill_id)
    assert bill is not None
    state, cancelled = bill.head.state, State.CANCELLED
    await records.write_state(uow.connection, bill_id, cancelled)
    await history.add(uow.connection, bill_id, uow.actor, Move.CANCEL, state, cancelled, bill.head.digest, noted.reason)


async def taken_back(connection: asyncpg.Connection, bill: Bill) -> TakenBack:
    """What issued credit notes and returned actions took back of each line of a bill."""
    notes = await connection.fetch(
        "SELECT content FROM bills WHERE corrects_id = $1 AND state = 'issued'", bill.head.id
    )
    noted: dict[int, int] = {}
    for row in notes:
        for line in content_from_json(msgspec.json.decode(row["content"])).lines:
            noted[line.number] = noted.get(line.number, 0) + line.net_minor
    returned = await connection.fetch(
        """
        SELECT products.external_id AS product, sum(credits.amount_minor)::bigint AS amount_minor
        FROM credits JOIN actions ON actions.id = credits.action_id JOIN products ON products.id = credits.product_id
        WHERE credits.partner_id = $1 AND actions.billing_period = $2 GROUP BY products.external_id
        """,
        bill.head.partner_id,
        bill.head.period,
    )
    by_product = {row["product"]: row["amount_minor"] for row in returned}
    leads = [line for line in bill.content.lines if line.kind is LineKind.LEADS and line.product in by_product]
    return TakenBack(noted, {line.number: by_product[line.product] for line in leads}, bill.head.was_written_off)


async def returned_beside(connection: asyncpg.Connection, note: Bill) -> int | None:
    """What other bills credit for returned actions of the bill that a note is about to cancel, net; None for others.

    The partner has that twice until the replacement is issued, which bills these actions again.
    """
    noted, head = note.content.noted, note.head
    if noted is None or not noted.cancels or head.state in (State.ISSUED, State.VOID) or head.corrects_id is None:
        return None
    bill = await records.read(connection, head.corrects_id)
    assert bill is not None
    return sum((await taken_back(connection, bill)).returned_minor.values())


async def _content(connection: asyncpg.Connection, bill: Bill, wanted: Wanted) -> Content:
    head = bill.head
    if head.corrects_id:
        raise RuleViolation("A credit note is about a bill, and not about another credit note.")
    if head.state is not State.ISSUED:
        raise RuleViolation(f"The bill is {head.state}; a credit note is about an issued one.")
    taken = await taken_back(connection, bill)
    if wanted.amounts is None:
        return cancelling_note(bill.content, taken, wanted.reason)
    return credit_note(bill.content, wanted.amounts, taken, wanted.reason)
