"""A bill that was issued, as a row: what contracts ask of bills is whether a period has one."""

from uuid import UUID

import asyncpg


async def issue_bill(connection: asyncpg.Connection, partner_id: UUID, period: int, state: str = "issued") -> None:
    await connection.execute(
        """
        INSERT INTO bills (id, number, partner_id, period, currency, state, digest, content, net_minor, tax_minor,
            issued_at, issued_on, due_on, issue, seal)
        VALUES (gen_random_uuid(), 'B-' || $2::int, $1, $2, 'EUR', $3, 'none', '{}', 0, 0,
            now(), current_date, current_date, '{}', 'none')
        """,
        partner_id,
        period,
        state,
    )
