"""Bills as rows, with what is open of them: no rule of billing stands in the way of what a test of lists stores."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime

import asyncpg

from db.core.row_keys import partner_uuid

PARTNERS = 6


@dataclass(frozen=True)
class Stored:
    """A bill as its row says it; what is not issued has no due date, and only of what shows it something is open."""

    state: str = "issued"
    is_note: bool = False
    gross_minor: int = 100
    rest_minor: int = 100
    created_at: datetime = datetime(2024, 4, 1, tzinfo=UTC)
    due_on: date = date(2024, 5, 1)
    has_overage: bool = False


async def put_bills(connection: asyncpg.Connection, bills: Sequence[Stored]) -> None:
    """Store bills of a few partners, of each one a month."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    first = await connection.fetchval("SELECT count(*) FROM bills")
    ids = [partner_uuid(f"partner-{place}") for place in range(PARTNERS)]
    await connection.execute(_PARTNERS, ids)
    places = range(first, first + len(bills))
    columns = {
        "text": [f"bill-{place}" for place in places],
        "uuid": [ids[place % PARTNERS] for place in places],
        "int": [_month(place // PARTNERS) for place in places],
    }
    lists = [[getattr(bill, each.name) for bill in bills] for each in fields(Stored)]
    await connection.execute(_BILLS, *columns.values(), *lists)
    await connection.execute("SET LOCAL session_replication_role = origin")


def _month(months: int) -> int:
    return (1901 + months // 12) * 100 + 1 + months % 12


_PARTNERS = """
WITH made AS (
    INSERT INTO partners (id, external_id, name, currency)
    SELECT id, id::text, 'A partner', 'EUR' FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO partner_time_zones (partner_id, from_period, timezone) SELECT id, 0, 'UTC' FROM made
"""
_BILLS = """
WITH said AS (
    SELECT *, md5(name)::uuid AS id,
        CASE WHEN shown_state IN ('paid', 'written_off') THEN 'issued' ELSE shown_state END AS state,
        shown_state IN ('issued', 'paid', 'written_off', 'cancelled') AS is_issued
    FROM unnest(
        $1::text[], $2::uuid[], $3::int[], $4::text[], $5::bool[], $6::bigint[], $7::bigint[], $8::timestamptz[],
        $9::date[], $10::bool[]
    ) AS said (name, partner_id, period, shown_state, is_note, gross, rest, created_at, due_on, has_overage)
), added AS (
    INSERT INTO bills (id, partner_id, period, currency, state, digest, shown_state, corrects_id, net_minor, tax_minor,
        created_at, content, number, issued_at, issued_on, due_on, issue, seal)
    SELECT id, partner_id, period, 'EUR', state, '', shown_state, CASE WHEN is_note THEN id END, gross, 0, created_at,
        CASE WHEN has_overage THEN '{"kind":"overage"}' ELSE '{}' END, CASE WHEN is_issued THEN name END,
        CASE WHEN is_issued THEN created_at END, CASE WHEN is_issued THEN due_on END,
        CASE WHEN is_issued THEN due_on END, CASE WHEN is_issued THEN '' END, CASE WHEN is_issued THEN '' END
    FROM said
), booked AS (
    INSERT INTO account_entries (id, partner_id, position, kind, amount_minor, booked_on, due_on, document, bill_id,
        who_kind, who_name)
    SELECT id, partner_id, substr(name, 6)::int + 1, 'bill', gross, due_on, due_on, name, id, 'system', ''
    FROM said WHERE is_issued
)
INSERT INTO account_rests (entry_id, partner_id, rest_minor)
SELECT id, partner_id, CASE shown_state WHEN 'issued' THEN rest ELSE 0 END
FROM said WHERE is_issued
"""
