"""Issuing a bill (B7): its number, its dates and its seal, in the transaction of the move."""

from datetime import date, datetime
from uuid import UUID

import asyncpg

from billing.bills.account import EntryKind, entry_minor
from billing.bills.issuing import due_date, issue_date, missing_in_blocks
from billing.bills.values import Issue, is_skipped
from billing.errors import RuleViolation
from billing.periods import name_of_period
from db.account import booking
from db.account.entries import NewEntry
from db.bills import account_history, creation, credit_notes, facts, numbers, proofs, records
from db.bills.files import stored
from db.bills.records import Bill
from db.contracts import agreed_terms
from db.core.unit_of_work import UnitOfWork
from db.tasks import records as tasks


async def issue(uow: UnitOfWork, bill: Bill, now: datetime) -> None:
    """Issue an approved bill or credit note, book it, and start the task that makes its files.

    The lock of the partner's bills is held. A note over all that was left of its bill cancels that. RuleViolation if an
    earlier period comes first, or if the seller's or the partner's block lacks something.
    """
    connection, head = uow.connection, bill.head
    if head.corrects_id is None:
        await _check_order(connection, bill)
    if missing := missing_in_blocks(bill.content):
        raise RuleViolation(
            f"The bill cannot be issued without {' and '.join(missing)}; enter what is missing, then refresh the bill."
        )
    preferences = (await agreed_terms.read(connection, head.partner_id, head.period)).terms.preferences
    issued_on = await _issue_date(connection, head.partner_id, now)
    due_on = issued_on if head.corrects_id else due_date(issued_on, bill.content.terms.payment_days)
    kind = EntryKind.CREDIT_NOTE if head.corrects_id else EntryKind.BILL
    number = await numbers.take(connection, head.partner_id, head.partner, kind.value)
    amount = entry_minor(kind, head.totals.gross_minor)
    entry = NewEntry(head.id, kind, amount, number, due_on, bill_id=head.corrects_id or head.id)
    uses = await booking.book(uow, head.partner_id, entry, now)
    assert uses is not None
    issue = Issue(
        number=number,
        issued_on=issued_on,
        due_on=due_on,
        corrected=await numbers_of_corrected(connection, bill),
        applied_minor=sum(use.amount_minor for use in uses if use.charge == head.id),
        language=preferences.language,
        paper=preferences.paper,
    )
    await records.write_issue(connection, bill, issue)
    cancelled = head.corrects_id if bill.content.noted and bill.content.noted.cancels else None
    await account_history.add(uow, uses, number, but=head.id, cancelled=cancelled)
    await credit_notes.cancel_corrected(uow, bill)
    await proofs.expect(connection, [head.id])
    await tasks.start(uow, stored.MAKE, {"bill_id": head.id, "partner_id": head.partner_id}, dedup_key=str(head.id))


async def _check_order(connection: asyncpg.Connection, bill: Bill) -> None:
    partner_id, period = bill.head.partner_id, bill.head.period
    first = await creation.first_to_bill(connection, partner_id, period)
    rows = await connection.fetch(
        """
        SELECT period, state FROM bills WHERE partner_id = $1 AND period BETWEEN $2 AND $3 AND corrects_id IS NULL
            AND state NOT IN ('void', 'cancelled')
        """,
        partner_id,
        first,
        period - 1,
    )
    unissued = [row["period"] for row in rows if row["state"] != "issued"]
    if unissued:
        raise RuleViolation(f"The bill of {name_of_period(min(unissued))} is issued first.")
    for month in await creation.periods_without_bill(connection, partner_id, period):
        if month < period and not is_skipped((await facts.content_now(connection, partner_id, month)).lines):
            raise RuleViolation(f"{name_of_period(month)} has no bill yet, and its bill is issued first.")


async def _issue_date(connection: asyncpg.Connection, partner_id: UUID, now: datetime) -> date:
    row = await connection.fetchrow(
        """
        SELECT (
            SELECT timezone FROM partner_time_zones WHERE partner_id = $1 AND from_period <= $2
            ORDER BY from_period DESC LIMIT 1
        ) AS timezone, (SELECT max(issued_on) FROM bills WHERE partner_id = $1) AS last
        """,
        partner_id,
        now.year * 100 + now.month,
    )
    assert row is not None
    return issue_date(now, row["timezone"], row["last"])


async def numbers_of_corrected(connection: asyncpg.Connection, bill: Bill) -> dict[int, str]:
    """The numbers of the bills that the credit lines correct, by period; of a credit note, that of its own bill too."""
    periods = {line.corrects for line in bill.content.lines if line.corrects is not None}
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (period) period, number FROM bills
        WHERE id = $3 OR (partner_id = $1 AND period = ANY($2::int[]) AND corrects_id IS NULL AND issued_at IS NOT NULL)
        ORDER BY period, id = $3 DESC, issued_at DESC
        """,
        bill.head.partner_id,
        list(periods),
        bill.head.corrects_id,
    )
    return {row["period"]: row["number"] for row in rows}
