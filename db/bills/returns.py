"""Whether an action of a closed period can be returned (B1, B8): what its bill says to that."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from billing.bills.credit_notes import check_return
from billing.bills.states import State
from billing.bills.values import LineKind
from billing.errors import RuleViolation
from billing.periods import name_of_period
from db.account import booking
from db.bills import creation, credit_notes, records
from db.bills.records import Bill
from db.contracts import agreed_terms
from db.core import locks
from db.ledger.policies import Policies


async def check(connection: asyncpg.Connection, policies: Policies, action_id: UUID, now: datetime) -> None:
    """Keep the bills of the action's partner as they are, and look whether the action can be returned.

    RuleViolation for an action of a period that was closed without a bill or whose bill was written off, for more than
    notes left of its line, and once the days for returns have passed. An open period, an action that was returned
    before and an unknown one are nobody's here.
    """
    action = await connection.fetchrow(
        """
        SELECT actions.partner_id, products.external_id AS product FROM actions
        JOIN products ON products.id = product_id WHERE actions.id = $1
        """,
        action_id,
    )
    if action is None:
        return
    partner_id = action["partner_id"]
    await locks.lock_partners_shared(connection, [partner_id])
    await locks.lock_bills_exclusive(connection, partner_id)
    row = await connection.fetchrow(
        """
        SELECT billing_period, billed_minor FROM actions
        WHERE id = $1 AND NOT EXISTS (SELECT FROM credits WHERE action_id = $1)
        """,
        action_id,
    )
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    if row is None or policy.is_open(row["billing_period"]):
        return
    period = row["billing_period"]
    await creation.first_to_bill(connection, partner_id, period)
    live = await records.live_of(connection, partner_id, period)
    bill = await records.read(connection, live) if live else None
    if bill is None or bill.head.state is not State.ISSUED:
        return
    await _check_days(connection, bill, now)
    taken = await credit_notes.taken_back(connection, bill)
    for line in bill.content.lines:
        if line.kind is LineKind.LEADS and line.product == action["product"]:
            check_return(line, row["billed_minor"], taken)


async def _check_days(connection: asyncpg.Connection, bill: Bill, now: datetime) -> None:
    head = bill.head
    days = (await agreed_terms.read(connection, head.partner_id, head.period)).terms.return_days
    if days is None or head.issued_on is None:
        return
    last = head.issued_on + timedelta(days=days)
    if await booking.day_at(connection, head.partner_id, now) > last:
        raise RuleViolation(
            f"Actions of {name_of_period(head.period)} could be returned until {last.isoformat()}, which was {days} "
            "days after its bill was issued."
        )
