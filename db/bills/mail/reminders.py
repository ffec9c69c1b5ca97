"""Reminding partners of bills that are overdue, neither disputed nor covered (B6, B8); never twice at one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.reminders import step_due
from billing.bills.states import State
from billing.errors import RuleViolation
from db.account import booking
from db.bills import filters, records, reviews
from db.bills.mail import composing
from db.bills.mail.composing import PartnerMail
from db.bills.mail.letters import reminder_letter
from db.bills.records import Bill
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.mail.outgoing import MailKind
from db.tasks import records as tasks

KIND = "remind"
"""The kind of the background task that reminds of all bills that are due for it."""
REMIND = "remind"


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder that is due `days` after the due date; without a mail, `not_sent` says why none can go."""

    bill: Bill
    days: int
    mail: PartnerMail | None
    not_sent: str | None = None


async def request(uow: UnitOfWork) -> UUID:
    """Start the task that reminds now of what is due for it; returns its id."""
    return await tasks.start(uow, KIND, {}, dedup_key=KIND)


async def candidates(
    connection: asyncpg.Connection, steps: Sequence[int], now: datetime, *, after: UUID | None, limit: int
) -> list[UUID]:
    """Bills that may be due for a reminder, in the order of their keys; `due` decides."""
    if not steps:
        return []
    today = await filters.today_by_zone(connection, now)
    rows = await connection.fetch(
        """
        SELECT bills.id FROM account_rests JOIN bills ON bills.id = entry_id
        JOIN unnest($1::text[], $2::date[]) AS today (timezone, day) ON timezone = (
            SELECT timezone FROM partner_time_zones
            WHERE partner_id = bills.partner_id AND from_period <= to_char(day, 'YYYYMM')::int
            ORDER BY from_period DESC LIMIT 1
        )
        WHERE rest_minor > 0 AND bills.state = 'issued' AND corrects_id IS NULL AND dispute IS NULL
            AND due_on <= day - $3::int AND ($5::uuid IS NULL OR bills.id > $5)
            AND NOT EXISTS (SELECT FROM reminders WHERE bill_id = bills.id AND days >= $4)
        ORDER BY bills.id LIMIT $6
        """,
        list(today),
        list(today.values()),
        min(steps),
        max(steps),
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def due(connection: asyncpg.Connection, bill_id: UUID, steps: Sequence[int], now: datetime) -> Reminder | None:
    """The reminder of a bill that is due now; None if there is none, or its partner wants none."""
    bill = await records.read(connection, bill_id)
    assert bill is not None
    head = bill.head
    if head.state is not State.ISSUED or head.corrects_id or head.dispute or head.open_minor <= 0:
        return None
    assert head.due_on is not None
    overdue = (await booking.day_at(connection, head.partner_id, now) - head.due_on).days
    reminded = await connection.fetchval("SELECT max(days) FROM reminders WHERE bill_id = $1", bill_id)
    days = step_due(steps, overdue, reminded)
    if days is None or not (await reviews.terms_of_today(connection, head.partner_id, now)).preferences.remind:
        return None
    try:
        return Reminder(bill, days, await composing.compose(connection, bill, reminder_letter(bill)))
    except RuleViolation as refused:
        return Reminder(bill, days, None, str(refused))


async def remind(uow: UnitOfWork, bill_id: UUID, steps: Sequence[int], now: datetime) -> Reminder | None:
    """Write the reminder of a bill that is due now, in a transaction of its own; None if there is none."""
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    assert partner_id is not None
    await locks.lock_bills_exclusive(connection, partner_id)
    reminder = await due(connection, bill_id, steps, now)
    if reminder is None or reminder.mail is None:
        return reminder
    await connection.execute("INSERT INTO reminders (bill_id, days) VALUES ($1, $2)", bill_id, reminder.days)
    because = f"{reminder.days} days after the due date, "
    mail_id = await composing.write(uow, reminder.mail, MailKind.REMINDER, REMIND, because)
    await uow.audit("bill.reminded", bill_id, after={"mail_id": mail_id, "days": reminder.days})
    return reminder
