"""By which ids the leads of a partner name a person, where that is not the person's own one alone.

Of a person without a row, the partner's leads carried the person's own id.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg


async def keep(connection: asyncpg.Connection, carried: Sequence[tuple[tuple[UUID, UUID], UUID]]) -> None:
    """Keep the ids by which leads name people, each with (partner, customer), in the order given.

    Call it under the locks of these customers, before their totals are written. Whoever had leads with the partner
    before there were several ids was named by the own one. `customer_states.has_carried_ids` says that there are rows,
    so that batches need not look for them.
    """
    await connection.execute(
        """
        WITH carried AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
            WITH ORDINALITY AS carried (partner_id, customer_id, id, place)
        ), before AS (
            SELECT DISTINCT partner_id, customer_id, customer_id AS id, 0 AS place FROM carried
            WHERE EXISTS (
                SELECT FROM customer_periods AS known
                WHERE known.partner_id = carried.partner_id AND known.customer_id = carried.customer_id
            ) AND NOT EXISTS (
                SELECT FROM carried_ids AS kept
                WHERE kept.partner_id = carried.partner_id AND kept.customer_id = carried.customer_id
            )
        ), marked AS (
            UPDATE customer_states AS states SET has_carried_ids = true FROM carried
            WHERE states.partner_id = carried.partner_id AND states.customer_id = carried.customer_id
                AND NOT has_carried_ids
        )
        INSERT INTO carried_ids (partner_id, customer_id, id)
        SELECT partner_id, customer_id, id FROM (SELECT * FROM before UNION ALL SELECT * FROM carried) AS each
        ORDER BY place ON CONFLICT DO NOTHING
        """,
        [partner_id for (partner_id, _), _ in carried],
        [customer_id for (_, customer_id), _ in carried],
        [carried_id for _, carried_id in carried],
    )


async def is_carried(connection: asyncpg.Connection, partner_id: UUID, customer_id: UUID, carried_id: UUID) -> bool:
    """Whether leads of a partner named the person by this id."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM customer_periods WHERE partner_id = $1 AND customer_id = $2) AND coalesce(
            (SELECT bool_or(id = $3) FROM carried_ids WHERE partner_id = $1 AND customer_id = $2), $3 = $2
        )
        """,
        partner_id,
        customer_id,
        carried_id,
    )
    return found


async def first(connection: asyncpg.Connection, partner_id: UUID, customer_id: UUID) -> str:
    """The id by which leads of a partner named the person first; that person has some."""
    found: str = await connection.fetchval(
        f"SELECT {first_carried('$1')} FROM customers WHERE id = $2",  # noqa: S608 - a query of ours
        partner_id,
        customer_id,
    )
    return found


def first_carried(partner_id: str) -> str:
    """SQL of the first id by which leads of a partner named a row of `customers`."""
    return f"""
        coalesce((
            SELECT coalesce(alias.external_id, customers.external_id)
            FROM carried_ids LEFT JOIN customer_aliases AS alias ON alias.id = carried_ids.id
            WHERE carried_ids.partner_id = {partner_id} AND carried_ids.customer_id = customers.id
            ORDER BY carried_ids.number LIMIT 1
        ), customers.external_id)
    """  # noqa: S608 - a column or a parameter of ours
