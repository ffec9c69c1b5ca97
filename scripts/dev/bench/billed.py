"""Fills bills and accounts by the hundred thousand, made inside Postgres, with what their accounts say.

Each partner has a bill of 10.00 for each month, and a payment for each that is paid. In the newest month bills are at
every stage; of the older ones one in 50 is open, one in 500 written off, void or cancelled each, and one in 100 has a
credit note of 1.00. What they say, and their digests, are not those of real bills.
"""

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class Filled:
    """How many bills and credit notes there are."""

    bills: int
    notes: int


async def fill_bills(connection: asyncpg.Connection, months: int) -> Filled:
    """Write the rows of so many months before this one, without checking references and without triggers."""
    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for statement in (_MADE, _BILLS, _NOTES, _BILL_ENTRIES, _NOTE_ENTRIES, _CREDITS, _USES, _RESTS, _ACTIONS):
        await connection.execute(statement.replace("{months}", str(months)))
    row = await connection.fetchrow("SELECT count(*) FILTER (WHERE corrects_id IS NULL), count(corrects_id) FROM bills")
    await connection.execute("RESET session_replication_role")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    assert row is not None
    return Filled(row[0], row[1])


_MADE = """
CREATE TEMPORARY TABLE made AS
SELECT *, state IN ('issued', 'cancelled') AS is_issued, CASE WHEN state = 'issued' THEN fate END AS end_,
    gen_random_uuid() AS id, gen_random_uuid() AS note_id, gen_random_uuid() AS credit_id, md5(number || n) AS mark
FROM (
    SELECT partners.id AS partner_id, 'P' || lpad(place::text, 5, '0') AS number, n, created_at,
        created_at::date AS day, to_char(created_at - interval '1 month', 'YYYYMM')::int AS period,
        CASE
            WHEN n = {months}
                THEN (ARRAY['draft', 'pending', 'pending', 'approved', 'rejected', 'issued'])[1 + place % 6]
            WHEN (place + n) % 500 = 1 THEN 'void'
            WHEN (place + n) % 500 = 2 THEN 'cancelled'
            ELSE 'issued'
        END AS state,
        CASE
            WHEN (place + n) % 500 = 3 THEN 'write_off' WHEN n > {months} - 2 OR (place + n) % 50 = 4 THEN 'open'
            ELSE 'payment'
        END AS fate,
        (place + n) % 100 = 5 AND n < {months} AS has_note, 1000 AS net_minor
    FROM (SELECT id, row_number() OVER (ORDER BY external_id) AS place FROM partners) AS partners
    CROSS JOIN generate_series(1, {months}) AS n
    CROSS JOIN LATERAL (
        SELECT date_trunc('month', now()) - make_interval(months => {months} - n) + place * interval '1 second'
            AS created_at
    ) AS at
) AS stages
"""
_BILLS = """
INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, created_at,
    number, issued_at, issued_on, due_on, issue, seal, shown_state)
SELECT id, partner_id, period, 'EUR', state, mark || mark, repeat(mark, 60), net_minor, 0, created_at,
    CASE WHEN is_issued THEN number || '-' || lpad(n::text, 4, '0') END, CASE WHEN is_issued THEN created_at END,
    CASE WHEN is_issued THEN day END, CASE WHEN is_issued THEN day + 30 END, CASE WHEN is_issued THEN '{}' END,
    CASE WHEN is_issued THEN mark || mark END,
    CASE end_ WHEN 'payment' THEN 'paid' WHEN 'write_off' THEN 'written_off' ELSE state END
FROM made ORDER BY created_at
"""
_NOTES = """
INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, created_at,
    number, issued_at, issued_on, due_on, issue, seal, corrects_id, shown_state)
SELECT note_id, partner_id, period, 'EUR', 'issued', mark || mark, repeat(mark, 60), 100, 0, created_at,
    number || '-CN-' || lpad(n::text, 4, '0'), created_at, day, day, '{}', mark || mark, id, 'issued'
FROM made WHERE has_note AND end_ = 'payment'
"""
_ENTRY = """
INSERT INTO account_entries (id, partner_id, position, kind, amount_minor, booked_on, due_on, document, external_id,
    paid_on, bill_id, entered_at, who_kind, who_name)
"""
_BILL_ENTRIES = (
    _ENTRY
    + """
SELECT id, partner_id, 3 * n - 2, 'bill', net_minor, day, day + 30, number || '-' || lpad(n::text, 4, '0'), NULL,
    NULL, id, created_at, 'system', 'system' FROM made WHERE state = 'issued'
"""
)
_NOTE_ENTRIES = (
    _ENTRY
    + """
SELECT note_id, partner_id, 3 * n - 1, 'credit_note', -100, day, day,
    number || '-CN-' || lpad(n::text, 4, '0'), NULL, NULL, id, created_at, 'system', 'system'
FROM made WHERE has_note AND end_ = 'payment'
"""
)
_CREDITS = (
    _ENTRY
    + """
SELECT credit_id, partner_id, 3 * n, end_, -net_minor + CASE WHEN has_note THEN 100 ELSE 0 END, day + 1,
    day + 1, 'Transfer', CASE end_ WHEN 'payment' THEN mark END, CASE end_ WHEN 'payment' THEN day + 1 END,
    CASE end_ WHEN 'write_off' THEN id END, created_at + interval '1 day', 'system', 'system'
FROM made WHERE end_ IN ('payment', 'write_off')
"""
)
_USES = """
INSERT INTO account_uses (id, credit_id, charge_id, amount_minor, booked_on)
SELECT gen_random_uuid(), credit.id, made.id, -amount_minor, credit.booked_on FROM made
JOIN account_entries AS credit ON credit.id = credit_id OR credit.id = note_id
"""
_RESTS = """
INSERT INTO account_rests (entry_id, partner_id, rest_minor)
SELECT account_entries.id, account_entries.partner_id, CASE WHEN end_ = 'open' THEN net_minor ELSE 0 END
FROM account_entries LEFT JOIN made ON made.id = account_entries.id
"""
_ACTIONS = """
INSERT INTO bill_actions (bill_id, position, at, who_kind, who_name, move, to_state, digest)
SELECT id, 1, created_at, 'system', 'system', 'create', 'draft', digest FROM bills
"""
