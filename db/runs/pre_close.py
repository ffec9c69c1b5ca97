"""What would surprise somebody once a month is closed, partner by partner: looked at before, it can still be mended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from db.intake import waiting_partners
from db.ledger import after_end
from db.runs.starting import IS_DEAD_LETTER

MOST_COUNTED = 10_000
"""Of each kind no more rows are counted."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What to look at before a month of a partner closes; counts of all months but for `held`.

    `waiting` leads are not decided yet; closing waits for them. `stale` customers are being judged by new terms or
    rates. `usage_missing`: overage is agreed, and nobody has reported usage. `only_shipped_prices`: no price of its own
    was agreed. `dead_letters` are those of runs. `after_end` are actions of the month after the end of the contract,
    which are billed.
    """

    partner: str
    waiting: int
    quarantined: int
    held: int
    stale: int
    dead_letters: int
    after_end: int
    usage_missing: bool
    only_shipped_prices: bool

    @property
    def is_fine(self) -> bool:
        """Whether nothing must be looked at; shipped prices may be what was agreed."""
        counts = (self.waiting, self.quarantined, self.held, self.stale, self.dead_letters, self.after_end)
        return not (any(counts) or self.usage_missing)


@dataclass(frozen=True, slots=True)
class OfEverybody:
    """What may concern any partner: leads of unknown products, and leads that cannot be decided.

    `waiting` are those that are counted for no partner, see `waiting_partners`.
    """

    waiting: int
    unknown_product: int
    dead_letters: int


async def page(
    connection: asyncpg.Connection, period: int, *, after: str, limit: int
) -> tuple[list[Findings], OfEverybody]:
    """The partners after one, by their ids, and what concerns everybody."""
    waiting = await waiting_partners.count(connection)
    findings = await _of_partners(connection, period, waiting.of_partners, after, limit)
    return findings, await _of_everybody(connection, waiting.of_nobody)


async def _of_partners(
    connection: asyncpg.Connection, period: int, waiting: Mapping[UUID, int], after: str, limit: int
) -> list[Findings]:
    rows = await connection.fetch(
        f"""
        SELECT partners.id, external_id AS partner, (
            SELECT count(*) FROM (
                SELECT FROM products JOIN quarantine ON product_id = products.id
                WHERE products.partner_id = partners.id AND resolved_at IS NULL LIMIT $4
            ) AS first
        ) AS quarantined, (
            SELECT coalesce(sum(held), 0)::bigint FROM product_periods
            WHERE partner_id = partners.id AND product_periods.period = $1
        ) AS held, (
            SELECT count(*) FROM (
                SELECT FROM customer_states WHERE partner_id = partners.id
                    AND customer_states.policy_version > 0 AND customer_states.policy_version < partners.policy_version
                LIMIT $4
            ) AS first
        ) AS stale, (
            SELECT count(*) FROM billing_run_items AS items
            WHERE items.partner_id = partners.id AND items.period <= $1 AND {IS_DEAD_LETTER}
        ) AS dead_letters, coalesce((
            SELECT monthly_api_limit IS NOT NULL AND overage_unit_cost IS NOT NULL AND usage_sources <> '{{leadger}}'
            FROM billing_terms WHERE partner_id = partners.id AND from_period <= $1 ORDER BY from_period DESC LIMIT 1
        ), false) AND NOT EXISTS (
            SELECT FROM usage WHERE usage.partner_id = partners.id AND usage.period = $1
        ) AS usage_missing, NOT EXISTS (
            SELECT FROM rates WHERE rates.partner_id = partners.id AND ended_at IS NULL
        ) AS only_shipped_prices
        FROM partners WHERE external_id > $2 ORDER BY external_id LIMIT $3
        """,  # noqa: S608 - IS_DEAD_LETTER is a constant
        period,
        after,
        limit,
        MOST_COUNTED,
    )
    ended = await after_end.count(connection, [row["id"] for row in rows], period)
    return [
        Findings(waiting=waiting.get(partner_id, 0), after_end=ended[partner_id], **found)
        for partner_id, found in map(_id_and_rest, rows)
    ]


def _id_and_rest(row: asyncpg.Record) -> tuple[UUID, dict[str, Any]]:
    found = dict(row)
    return found.pop("id"), found


async def _of_everybody(connection: asyncpg.Connection, waiting: int) -> OfEverybody:
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM (
            SELECT FROM quarantine WHERE resolved_at IS NULL AND reason = 'unknown_product' LIMIT $1
        ) AS first) AS unknown_product, (SELECT count(*) FROM (
            SELECT FROM dead_letters WHERE resolved_at IS NULL LIMIT $1
        ) AS first) AS dead_letters
        """,
        MOST_COUNTED,
    )
    assert row is not None
    return OfEverybody(waiting, **row)
