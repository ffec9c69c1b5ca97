"""Terms that decide verdicts and time zones of partners, versioned by the first period in which they count (R16).

The other columns of `partner_terms` are those of releases before 0.3; `db.contracts` has what they became.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from billing.periods import previous_period, start_of_period
from billing.terms import DEFAULT_CAP_MINOR, CapScope, DuplicateWindow


@dataclass(frozen=True, slots=True)
class PartnerTerms:
    """What decides the verdicts of a period. `cap_minor` None is no cap."""

    cap_minor: int | None = DEFAULT_CAP_MINOR
    cap_scope: CapScope = CapScope.PERIOD
    dedup_window: DuplicateWindow = field(default_factory=DuplicateWindow)


async def read_terms(connection: asyncpg.Connection, partner_id: UUID, period: int) -> PartnerTerms:
    """The terms of an existing partner for a period."""
    row = await connection.fetchrow(
        """
        SELECT * FROM partner_terms WHERE partner_id = $1 AND from_period <= $2 ORDER BY from_period DESC LIMIT 1
        """,
        partner_id,
        period,
    )
    assert row is not None
    return partner_terms_from_row(row)


async def write_terms(connection: asyncpg.Connection, partner_id: UUID, from_period: int, terms: PartnerTerms) -> None:
    """Add a version of a partner's terms, or replace the one that starts with the same period."""
    columns = _columns_from_partner_terms(terms)
    numbers = ", ".join(f"${number}" for number in range(3, len(columns) + 3))
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
    await connection.execute(
        f"""
        INSERT INTO partner_terms (partner_id, from_period, {", ".join(columns)}) VALUES ($1, $2, {numbers})
        ON CONFLICT (partner_id, from_period) DO UPDATE SET {changed}
        """,  # noqa: S608 - fields of PartnerTerms name the columns
        partner_id,
        from_period,
        *columns.values(),
    )


async def write_timezone(connection: asyncpg.Connection, partner_id: UUID, from_period: int, timezone: str) -> None:
    """Use a time zone from a period on that has not begun; zones and bounds that were to come after it go."""
    await connection.execute(
        "DELETE FROM partner_time_zones WHERE partner_id = $1 AND from_period > $2", partner_id, from_period
    )
    await connection.execute(
        """
        INSERT INTO partner_time_zones (partner_id, from_period, timezone) VALUES ($1, $2, $3)
        ON CONFLICT (partner_id, from_period) DO UPDATE SET timezone = excluded.timezone
        """,
        partner_id,
        from_period,
        timezone,
    )
    await connection.execute("DELETE FROM periods WHERE partner_id = $1 AND period >= $2", partner_id, from_period)
    await connection.execute(
        "UPDATE periods SET ends_at = $3 WHERE partner_id = $1 AND period = $2",
        partner_id,
        previous_period(from_period),
        start_of_period(from_period, timezone),
    )


def partner_terms_from_row(row: asyncpg.Record) -> PartnerTerms:
    """A row of partner_terms, or one that has its columns among others."""
    return PartnerTerms(
        cap_minor=row["cap_minor"],
        cap_scope=CapScope(row["cap_scope"]),
        dedup_window=DuplicateWindow(row["dedup_window"], row["dedup_days"] or 0),
    )


def _columns_from_partner_terms(terms: PartnerTerms) -> dict[str, Any]:
    return {
        "cap_minor": terms.cap_minor,
        "cap_scope": terms.cap_scope.value,
        "dedup_window": terms.dedup_window.kind,
        "dedup_days": terms.dedup_window.days or None,
    }
