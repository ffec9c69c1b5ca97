"""What is agreed once for all bills of a partner: with which period they begin, and how they are numbered (B1, B7)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.periods import name_of_period
from db.contracts.issued_periods import ever_issued


@dataclass(frozen=True, slots=True)
class BillingSettings:
    """None is the default: the start of the contract or else the first lead; a prefix of the external id; 1."""

    billing_from: int | None = None
    number_prefix: str | None = None
    first_number: int | None = None


async def read_all(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> dict[UUID, BillingSettings]:
    """The settings of each partner that has some."""
    rows = await connection.fetch(
        "SELECT * FROM billing_settings WHERE partner_id = ANY($1::uuid[])", list(partner_ids)
    )
    return {
        row["partner_id"]: BillingSettings(row["billing_from"], row["number_prefix"], row["first_number"])
        for row in rows
    }


async def change(connection: asyncpg.Connection, partner_id: UUID, changes: Mapping[str, Any]) -> BillingSettings:
    """Change some settings under the exclusive lock of the partner's bills; returns what they were.

    RuleViolation once a bill was issued, and for a prefix that another partner has.
    """
    before = (await read_all(connection, [partner_id])).get(partner_id, BillingSettings())
    after = replace(before, **changes)
    if after == before:
        return before
    if await ever_issued(connection, partner_id):
        raise RuleViolation(
            "The first period, the prefix and the first number of a partner's bills are settled with its first issued "
            "bill."
        )
    try:
        await connection.execute(
            """
            INSERT INTO billing_settings (partner_id, billing_from, number_prefix, first_number)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (partner_id) DO UPDATE SET billing_from = excluded.billing_from,
                number_prefix = excluded.number_prefix, first_number = excluded.first_number
            """,
            partner_id,
            after.billing_from,
            after.number_prefix,
            after.first_number,
        )
    except asyncpg.UniqueViolationError:
        raise RuleViolation(f"Another partner's bills have the prefix {after.number_prefix}.") from None
    return before


async def first_billed_period(connection: asyncpg.Connection, partner_id: UUID) -> int | None:
    """The period with which a partner's bills begin (B1); None as long as nothing says it.

    `billing_from`; by default the period of the earliest `start_date` that was ever agreed, so that a renewal moves
    nothing; else the first period that has actions, or an adjustment that was there before them.
    """
    return (await first_billed_periods(connection, [partner_id]))[partner_id]


async def first_billed_periods(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> dict[UUID, int | None]:
    """The same of each partner."""
    rows = await connection.fetch(
        """
        SELECT id, coalesce(
            (SELECT billing_from FROM billing_settings WHERE partner_id = asked.id),
            (SELECT to_char(min(start_date), 'YYYYMM')::int FROM billing_terms WHERE partner_id = asked.id),
            least(
                (SELECT min(period) FROM product_periods WHERE partner_id = asked.id AND actions > 0),
                (SELECT min(period) FROM adjustments WHERE partner_id = asked.id AND taken_back_at IS NULL)
            )
        ) AS period
        FROM unnest($1::uuid[]) AS asked (id)
        """,
        list(partner_ids),
    )
    return {row["id"]: row["period"] for row in rows}


async def settle_first_period(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Let bills begin where they do once one was issued, whatever start dates are agreed from now on."""
    if await ever_issued(connection, partner_id):
        await connection.execute(
            """
            INSERT INTO billing_settings (partner_id, billing_from) VALUES ($1, $2)
            ON CONFLICT (partner_id) DO UPDATE
                SET billing_from = coalesce(billing_settings.billing_from, excluded.billing_from)
            """,
            partner_id,
            await first_billed_period(connection, partner_id),
        )


async def check_all_is_billed(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """RuleViolation if something was credited of a period that has no bill, or an adjustment of one stands."""
    row = await connection.fetchrow(
        """
        SELECT (
            SELECT min(billing_period) FROM credits JOIN actions ON actions.id = action_id WHERE credits.partner_id = $1
        ) AS credited, (
            SELECT min(period) FROM adjustments WHERE partner_id = $1 AND taken_back_at IS NULL
        ) AS adjusted
        """,
        partner_id,
    )
    assert row is not None
    first, credited, adjusted = await first_billed_period(connection, partner_id), row["credited"], row["adjusted"]
    if credited is not None and first is not None and credited < first:
        raise RuleViolation(
            f"Bills cannot begin with {name_of_period(first)}: leads of {name_of_period(credited)} were credited."
        )
    if adjusted is not None and first is not None and adjusted < first:
        raise RuleViolation(
            f"Bills cannot begin with {name_of_period(first)}: there is an adjustment of {name_of_period(adjusted)}; "
            "take it back first."
        )
