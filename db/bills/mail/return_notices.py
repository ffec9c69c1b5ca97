"""Telling Finance of returns that others ask for: one mail of all that were asked for since the last one."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg

from billing.money import amount_from_minor
from db.bills.mail import composing
from db.bills.mail.letters import Letter
from db.core.unit_of_work import UnitOfWork
from db.mail import outgoing
from db.mail.outgoing import MailKind

MOST_COLLECTED = 5000
"""Returns that one collection takes; the next one takes more."""
_MOST_LISTED = 50


async def note(connection: asyncpg.Connection, action_id: UUID) -> None:
    """Remember that Finance is to be told of a return on record."""
    await connection.execute("INSERT INTO return_notices (action_id) VALUES ($1) ON CONFLICT DO NOTHING", action_id)


async def collect(uow: UnitOfWork) -> int:
    """Write one mail to each person of Finance, or each Admin where there is none; returns how many.

    What was decided meanwhile is dropped.
    """
    connection = uow.connection
    rows = await connection.fetch(
        """
        WITH told AS (
            DELETE FROM return_notices WHERE action_id IN (SELECT action_id FROM return_notices ORDER BY at LIMIT $1)
            RETURNING action_id
        )
        SELECT partners.external_id, partners.name, partners.currency, count(*) AS actions,
            sum(actions.billed_minor)::bigint AS amount_minor
        FROM told JOIN returns USING (action_id) JOIN actions ON actions.id = action_id
        JOIN partners ON partners.id = returns.partner_id
        WHERE returns.state = 'asked' GROUP BY partners.id ORDER BY partners.name, partners.id
        """,
        MOST_COLLECTED,
    )
    if not rows:
        return 0
    emails = await connection.fetch(
        """
        SELECT email FROM users WHERE deactivated_at IS NULL AND role = coalesce(
            (SELECT role FROM users WHERE role = 'finance' AND deactivated_at IS NULL LIMIT 1), 'admin'
        ) ORDER BY id
        """
    )
    letter = _letter(rows)
    for row in emails:
        mail_id = uuid4()
        await outgoing.add(connection, mail_id, MailKind.NOTICE, None, [row["email"]], *letter)
        await composing.start(uow, mail_id)
    return len(emails)


def _letter(rows: Sequence[asyncpg.Record]) -> Letter:
    lines = [
        f"{row['name']}: {row['actions']} {'action' if row['actions'] == 1 else 'actions'}, "
        f"{row['currency']} {amount_from_minor(row['amount_minor'])}\n"
        f"leadger returns list --partner {row['external_id']} --state asked"
        for row in rows[:_MOST_LISTED]
    ]
    more = [f"And {len(rows) - _MOST_LISTED} more partners."] if len(rows) > _MOST_LISTED else []
    asked = "Somebody asks for actions to be returned, and Finance accepts or refuses:"
    return Letter("Returns wait for you", "\n\n".join(["Good day,", asked, *lines, *more, "Leadger"]) + "\n")
