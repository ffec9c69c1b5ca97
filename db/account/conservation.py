"""What must hold of an account at any time (B9): its rests follow from entries and uses, and sum to the account."""

from uuid import UUID

import asyncpg

from billing.bills.states import State, shown_state
from billing.money import amount_from_minor


async def difference(connection: asyncpg.Connection, partner_id: UUID) -> str | None:
    """What does not add up in the account of a partner, in one sentence; None if all does. Call it in one snapshot."""
    wrong = await connection.fetchrow(
        """
        SELECT document, rest_minor, right_minor FROM (
            SELECT entry.document, entry.position, coalesce(account_rests.rest_minor, 0) AS rest_minor, CASE
                WHEN entry.kind = 'reversal' OR mirror.id IS NOT NULL THEN 0
                ELSE abs(entry.amount_minor) - coalesce(used.amount_minor, 0)
            END::bigint AS right_minor
            FROM account_entries AS entry
            LEFT JOIN account_rests ON account_rests.entry_id = entry.id
            LEFT JOIN account_entries AS mirror ON mirror.reverses_id = entry.id
            LEFT JOIN LATERAL (
                SELECT sum(amount_minor) AS amount_minor FROM account_uses
                WHERE charge_id = entry.id OR credit_id = entry.id
            ) AS used ON true
            WHERE entry.partner_id = $1
        ) AS rests WHERE rest_minor <> right_minor ORDER BY position LIMIT 1
        """,
        partner_id,
    )
    if wrong:
        kept, right = amount_from_minor(wrong["rest_minor"]), amount_from_minor(wrong["right_minor"])
        return f"{kept} is kept as the rest of {wrong['document']}, and its amount less its uses is {right}"
    sums = await connection.fetchrow(
        """
        SELECT coalesce(sum(amount_minor), 0)::bigint AS account_minor,
            coalesce(sum(sign(amount_minor) * rest_minor), 0)::bigint AS rests_minor
        FROM account_entries LEFT JOIN account_rests ON entry_id = account_entries.id
        WHERE account_entries.partner_id = $1
        """,
        partner_id,
    )
    assert sums is not None
    if sums["account_minor"] != sums["rests_minor"]:
        account, rests = amount_from_minor(sums["account_minor"]), amount_from_minor(sums["rests_minor"])
        return f"the account is {account}, and what is open less what is left {rests}"
    booked = await connection.fetchrow(
        """
        SELECT number, amount_minor, (CASE kind WHEN 'bill' THEN 1 ELSE -1 END * (net_minor + tax_minor)) AS gross_minor
        FROM account_entries JOIN bills ON bills.id = account_entries.id
        WHERE account_entries.partner_id = $1
            AND amount_minor <> CASE kind WHEN 'bill' THEN 1 ELSE -1 END * (net_minor + tax_minor)
        ORDER BY position LIMIT 1
        """,
        partner_id,
    )
    if booked:
        entered, gross = amount_from_minor(booked["amount_minor"]), amount_from_minor(booked["gross_minor"])
        return f"{entered} is booked for {booked['number']}, which is about {gross}"
    return await _wrongly_shown(connection, partner_id)


async def _wrongly_shown(connection: asyncpg.Connection, partner_id: UUID) -> str | None:
    """A bill that shows another state than what follows from its account, which the database itself keeps."""
    rows = await connection.fetch(
        """
        SELECT number, state, shown_state, coalesce(CASE WHEN amount_minor > 0 THEN rest_minor END, 0) AS open_minor,
            EXISTS (
                SELECT FROM account_entries AS write_off
                WHERE write_off.bill_id = bills.id AND write_off.kind = 'write_off'
                    AND NOT EXISTS (SELECT FROM account_entries AS mirror WHERE mirror.reverses_id = write_off.id)
            ) AS was_written_off
        FROM bills LEFT JOIN account_entries AS entry ON entry.id = bills.id
        LEFT JOIN account_rests ON entry_id = bills.id
        WHERE bills.partner_id = $1 AND corrects_id IS NULL ORDER BY bills.created_at
        """,
        partner_id,
    )
    for row in rows:
        right = shown_state(State(row["state"]), row["open_minor"], row["was_written_off"])
        if row["shown_state"] != right:
            return f"{row['number']} is listed as {row['shown_state']}, and it is {right}"
    return None
