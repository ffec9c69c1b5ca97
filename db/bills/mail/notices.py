"""Telling people of ours of bills that wait for them: who can approve, who revises what was rejected, who issues.

A move leaves a row; every now and then the rows are collected, so that many bills of one run make one mail a person.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID, uuid4

import asyncpg

from billing.bills.approvals import waited_for
from billing.bills.states import Move, State
from billing.money import amount_from_minor
from billing.periods import name_of_period
from billing.roles import Role
from db.bills import history, records, reviews
from db.bills.mail import composing
from db.bills.mail.letters import Letter
from db.bills.records import BillHead
from db.core.unit_of_work import UnitOfWork
from db.mail import outgoing
from db.mail.outgoing import MailKind

MOST_COLLECTED = 500
"""Bills that one collection takes; the next one takes more."""
MOST_LISTED = 50
"""Bills that one mail names; it counts the others."""
_FOR_FINANCE = (State.DRAFT, State.APPROVED, State.REJECTED)
"""States in which a bill waits for Finance, to be submitted, issued or revised."""


async def note(connection: asyncpg.Connection, bill_ids: Sequence[UUID]) -> None:
    """Remember that somebody is to be told of bills."""
    if bill_ids:
        await connection.execute(
            "INSERT INTO bill_notices (bill_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", bill_ids
        )


async def collect(uow: UnitOfWork, base_url: str) -> int:
    """Write one mail to each person whom bills wait for; returns how many. What waits for nobody is dropped."""
    connection = uow.connection
    rows = await connection.fetch(
        """
        DELETE FROM bill_notices WHERE bill_id IN (SELECT bill_id FROM bill_notices ORDER BY at LIMIT $1)
        RETURNING bill_id
        """,
        MOST_COLLECTED,
    )
    lines: dict[UUID, list[str]] = defaultdict(list)
    for head in await records.read_heads(connection, [row["bill_id"] for row in rows]):
        for person in await _people(connection, head):
            lines[person].append(await _line(connection, head, base_url))
    emails = await connection.fetch("SELECT id, email FROM users WHERE id = ANY($1::uuid[]) ORDER BY id", list(lines))
    for row in emails:
        mail_id, letter = uuid4(), _letter(lines[row["id"]])
        await outgoing.add(connection, mail_id, MailKind.NOTICE, None, [row["email"]], *letter)
        await composing.start(uow, mail_id)
    return len(emails)


async def _people(connection: asyncpg.Connection, head: BillHead) -> Iterable[UUID]:
    """Whom a bill waits for: of a pending one, who could approve it; of others its makers in Finance, or all of it.

    An Admin who made it is one of them, and where nobody is Finance, all are.
    """
    if head.state is State.PENDING:
        review = await reviews.read(connection, head)
        people = await reviews.active_people(connection, head.csm_id)
        return [each.person for each in waited_for(review, people) if each.person]
    if head.state not in _FOR_FINANCE:
        return []
    rows = await connection.fetch(
        "SELECT id, role FROM users WHERE deactivated_at IS NULL AND role IN ('finance', 'admin') ORDER BY id"
    )
    makers = (await reviews.read(connection, head)).makers
    finance = [row["id"] for row in rows if row["role"] == Role.FINANCE]
    return [row["id"] for row in rows if row["id"] in makers] or finance or [row["id"] for row in rows]


async def _line(connection: asyncpg.Connection, head: BillHead, base_url: str) -> str:
    kind = "Credit note" if head.corrects_id else "Bill"
    amount = f"{head.currency} {amount_from_minor(head.totals.gross_minor)}"
    about = f"{kind} of {head.partner_name} for {name_of_period(head.period)}, {amount}"
    url = f"{base_url}/bills/{head.id}"
    if head.state is State.PENDING:
        return f"{about}, waits for your approval:\n{url}"
    if head.state is State.APPROVED:
        return f"{about}, is approved and can be issued:\n{url}"
    if head.state is State.DRAFT:
        return f"{about}, is a draft that its run did not submit:\n{url}"
    (rejected,) = await history.newest(connection, head.id, [Move.REJECT], 1)
    return f"{about}, was rejected by {rejected.who.name}: {rejected.comment}\n{url}"


def _letter(lines: Sequence[str]) -> Letter:
    subject = "A bill waits for you" if len(lines) == 1 else f"{len(lines)} bills wait for you"
    more = [f"And {len(lines) - MOST_LISTED} more."] if len(lines) > MOST_LISTED else []
    return Letter(subject, "\n\n".join(["Good day,", *lines[:MOST_LISTED], *more, "Leadger"]) + "\n")
