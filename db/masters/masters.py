"""Partners, products and rates: reading them, creating them, changing them (R5, R16)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.errors import RuleViolation
from billing.periods import name_of_period, next_period, previous_period, start_of_period
from billing.policy import Policy
from billing.terms import DuplicateWindow
from db.core import locks

_TABLES = {"partner": "partners", "product": "products"}
_TERMS_COLUMNS = (
    "cap_minor",
    "cap_scope",
    "dedup_window",
    "dedup_days",
    "monthly_api_limit",
    "overage_unit_cost_minor",
    "csm",
    "csm_must_approve",
    "start_date",
    "end_date",
    "preferences",
)


async def exists(connection: asyncpg.Connection, kind: str, row_id: UUID) -> bool:
    """Whether there is such a partner or product."""
    found: bool = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {_TABLES[kind]} WHERE id = $1)", row_id)
    return found


# --- partners ---------------------------------------------------------------------------------------------------------


async def partner(connection: asyncpg.Connection, partner_id: UUID, period: int | None = None) -> asyncpg.Record | None:
    """A partner with the terms and time zone in force in a period; None: in its first open one, or the newest ones."""
    return await connection.fetchrow(
        """
        SELECT partners.*, terms.*, zones.timezone
        FROM partners
        CROSS JOIN LATERAL (
            SELECT * FROM partner_terms WHERE partner_id = partners.id
                AND ($2::int IS NULL OR from_period <= $2) ORDER BY from_period DESC LIMIT 1
        ) AS terms
        CROSS JOIN LATERAL (
            SELECT timezone FROM partner_time_zones WHERE partner_id = partners.id
                AND ($2::int IS NULL OR from_period <= $2) ORDER BY from_period DESC LIMIT 1
        ) AS zones
        WHERE partners.id = $1
        """,
        partner_id,
        period,
    )


async def page(connection: asyncpg.Connection, kind: str, *, after: str | None, limit: int) -> list[asyncpg.Record]:
    """Partners or products by external id."""
    return await connection.fetch(
        f"""
        SELECT id, external_id FROM {_TABLES[kind]} WHERE $1::text IS NULL OR external_id > $1
        ORDER BY external_id LIMIT $2
        """,
        after,
        limit,
    )


async def create_partner(
    connection: asyncpg.Connection, partner_id: UUID, values: Mapping[str, Any], terms: Mapping[str, Any], timezone: str
) -> bool:
    """Create a partner with terms and time zone from the beginning of time; False if the id is taken."""
    # A rule for all partners that is being put on record does not know this one: it must be there first.
    await locks.lock_partners_shared(connection, [partner_id])
    status = await connection.execute(
        """
        INSERT INTO partners (id, external_id, name, billing_email, currency) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        partner_id,
        values["external_id"],
        values["name"],
        values["billing_email"],
        values["currency"],
    )
    if status == "INSERT 0 0":
        return False
    await _write_terms(connection, partner_id, 0, terms)
    await connection.execute(
        "INSERT INTO partner_time_zones (partner_id, from_period, timezone) VALUES ($1, 0, $2)", partner_id, timezone
    )
    return True


async def change_partner(connection: asyncpg.Connection, partner_id: UUID, values: Mapping[str, Any]) -> None:
    """Change name, billing e-mail or currency; RuleViolation for another currency once there is an action (R14)."""
    if "currency" in values:
        row = await connection.fetchrow(
            """
            SELECT currency, EXISTS (SELECT FROM actions WHERE partner_id = partners.id) AS used
            FROM partners WHERE id = $1
            """,
            partner_id,
        )
        assert row is not None
        if row["currency"] != values["currency"] and row["used"]:
            raise RuleViolation(f"The currency is {row['currency']} for good, because the partner has actions.")
    for name, value in values.items():
        await connection.execute(f'UPDATE partners SET "{name}" = $2 WHERE id = $1', partner_id, value)


async def change_terms(
    connection: asyncpg.Connection, policy: Policy, changes: Mapping[str, Any], effective_period: int | None
) -> int:
    """Change terms from a period on, by default the first open one; returns that period. Call under the partner's lock.

    Versions that start later keep what they say. RuleViolation if a closed period would be touched (R16).
    """
    start = policy.first_open if effective_period is None else effective_period
    if start < policy.first_open:
        raise RuleViolation(
            f"Terms cannot start in {name_of_period(start)}: it is closed; the first open period is "
            f"{name_of_period(policy.first_open)}."
        )
    row = await connection.fetchrow(
        """
        SELECT * FROM partner_terms WHERE partner_id = $1 AND from_period <= $2 ORDER BY from_period DESC LIMIT 1
        """,
        policy.partner_id,
        start,
    )
    assert row is not None
    terms = {name: row[name] for name in _TERMS_COLUMNS}
    terms |= {"preferences": preferences_column(row["preferences"])} | dict(changes)
    if terms["start_date"] and terms["end_date"] and terms["end_date"] < terms["start_date"]:
        raise RuleViolation(f"The terms would end on {terms['end_date']}, before they start on {terms['start_date']}.")
    await _write_terms(connection, policy.partner_id, start, terms)
    await new_version(connection, [policy.partner_id])
    return start


async def change_timezone(connection: asyncpg.Connection, policy: Policy, timezone: str, now: datetime) -> int:
    """Use another time zone from the first period that has begun in neither zone; returns that period (R16)."""
    start = next_period(policy.calendar.period_of(now))
    if start_of_period(start, timezone) <= now:
        start = next_period(start)
    await connection.execute(
        "DELETE FROM partner_time_zones WHERE partner_id = $1 AND from_period > $2", policy.partner_id, start
    )
    await connection.execute(
        """
        INSERT INTO partner_time_zones (partner_id, from_period, timezone) VALUES ($1, $2, $3)
        ON CONFLICT (partner_id, from_period) DO UPDATE SET timezone = excluded.timezone
        """,
        policy.partner_id,
        start,
        timezone,
    )
    await connection.execute("DELETE FROM periods WHERE partner_id = $1 AND period >= $2", policy.partner_id, start)
    await connection.execute(
        "UPDATE periods SET ends_at = $3 WHERE partner_id = $1 AND period = $2",
        policy.partner_id,
        previous_period(start),
        start_of_period(start, timezone),
    )
    await new_version(connection, [policy.partner_id])
    return start


async def new_version(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> None:
    """Make every customer of the partners stale: they are judged again by the present terms and rates."""
    await connection.execute(
        "UPDATE partners SET policy_version = policy_version + 1 WHERE id = ANY($1::uuid[])", list(partner_ids)
    )


async def _write_terms(
    connection: asyncpg.Connection, partner_id: UUID, from_period: int, terms: Mapping[str, Any]
) -> None:
    columns = ", ".join(_TERMS_COLUMNS)
    numbers = ", ".join(f"${number}" for number in range(3, len(_TERMS_COLUMNS) + 3))
    changed = ", ".join(f"{name} = excluded.{name}" for name in _TERMS_COLUMNS)
    await connection.execute(
        f"""
        INSERT INTO partner_terms (partner_id, from_period, {columns}) VALUES ($1, $2, {numbers})
        ON CONFLICT (partner_id, from_period) DO UPDATE SET {changed}
        """,
        partner_id,
        from_period,
        *(terms[name] for name in _TERMS_COLUMNS),
    )


async def terms_versions(connection: asyncpg.Connection, partner_id: UUID) -> list[asyncpg.Record]:
    """All versions of a partner's terms, oldest first."""
    return await connection.fetch("SELECT * FROM partner_terms WHERE partner_id = $1 ORDER BY from_period", partner_id)


def window_columns(window: DuplicateWindow) -> dict[str, Any]:
    """A duplicate window as its two columns."""
    return {"dedup_window": window.kind, "dedup_days": window.days or None}


def preferences_column(preferences: Mapping[str, Any]) -> str:
    """Preferences as JSON text."""
    return msgspec.json.encode(preferences).decode()


# --- products ---------------------------------------------------------------------------------------------------------


async def product(connection: asyncpg.Connection, product_id: UUID) -> asyncpg.Record | None:
    """A product with its partner's external id."""
    return await connection.fetchrow(
        """
        SELECT products.*, partners.external_id AS partner FROM products JOIN partners ON partners.id = partner_id
        WHERE products.id = $1
        """,
        product_id,
    )


async def create_product(
    connection: asyncpg.Connection, product_id: UUID, partner_id: UUID, values: Mapping[str, Any]
) -> bool:
    """Create a product of a partner, to whom it belongs for ever; False if the id is taken."""
    status = await connection.execute(
        """
        INSERT INTO products (id, external_id, partner_id, name, description) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        product_id,
        values["external_id"],
        partner_id,
        values["name"],
        values.get("description"),
    )
    return status == "INSERT 0 1"


async def change_product(connection: asyncpg.Connection, product_id: UUID, values: Mapping[str, Any]) -> None:
    """Change name or description."""
    for name, value in values.items():
        await connection.execute(f'UPDATE products SET "{name}" = $2 WHERE id = $1', product_id, value)


# --- rates ------------------------------------------------------------------------------------------------------------


async def rates(connection: asyncpg.Connection, *, after: int, limit: int) -> list[asyncpg.Record]:
    """Rate rules by id, with external ids."""
    return await connection.fetch(f"{_RATES} WHERE rate_rules.id > $1 ORDER BY rate_rules.id LIMIT $2", after, limit)


async def rate(connection: asyncpg.Connection, rule_id: int) -> asyncpg.Record | None:
    """One rate rule, with external ids."""
    return await connection.fetchrow(f"{_RATES} WHERE rate_rules.id = $1", rule_id)


_RATES = """
    SELECT rate_rules.*, partners.external_id AS partner, products.external_id AS product
    FROM rate_rules LEFT JOIN partners ON partners.id = rate_rules.partner_id
    LEFT JOIN products ON products.id = rate_rules.product_id
"""


async def lock_touched(connection: asyncpg.Connection, partner_id: UUID | None, product_id: UUID | None) -> list[UUID]:
    """The partners whose actions a rule with these conditions can price; their batches wait until it is on record."""
    if partner_id is None and product_id is None:
        await locks.lock_rate_card_exclusive(connection)
    rows = await connection.fetch(
        """
        SELECT id FROM partners
        WHERE ($1::uuid IS NULL OR id = $1)
            AND ($2::uuid IS NULL OR id = (SELECT partner_id FROM products WHERE id = $2))
        """,
        partner_id,
        product_id,
    )
    touched = [row["id"] for row in rows]
    if partner_id or product_id:
        for touched_id in touched:
            await locks.lock_partner_exclusive(connection, touched_id)
    return touched


async def create_rate(connection: asyncpg.Connection, values: Mapping[str, Any]) -> int | None:
    """Put a rate rule on record; None if one with the same conditions and start exists (R5)."""
    names = list(values)
    rule_id: int | None = await connection.fetchval(
        f"""
        INSERT INTO rate_rules ({", ".join(names)}) VALUES ({", ".join(f"${n}" for n in range(1, len(names) + 1))})
        ON CONFLICT DO NOTHING RETURNING id
        """,
        *values.values(),
    )
    return rule_id


async def periods_used(connection: asyncpg.Connection, partner_id: UUID) -> list[int]:
    """The billing periods in which a partner has actions, oldest first."""
    rows = await connection.fetch(
        "SELECT DISTINCT period FROM product_periods WHERE partner_id = $1 AND actions > 0 ORDER BY period", partner_id
    )
    return [row["period"] for row in rows]
