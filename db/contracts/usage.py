"""Usage (B2): units that others count, one entry per partner, period, source and key; entries are added, never changed.

The newest entry of a key counts. The older ones stay, because whoever entered one of them does not approve the bill.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.periods import name_of_period, start_of_period, text_from_period
from db.contracts.issued_periods import issued_periods
from db.core import locks
from db.core.actor import Actor, actor_from_row
from db.core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class UsageKey:
    """What an entry is known by; `key` is the caller's own name of it within the source."""

    partner_id: UUID
    period: int
    source: str
    key: str


@dataclass(frozen=True, slots=True)
class Usage:
    """An entry: the how manieth of its key it is, and who entered it."""

    key: UsageKey
    partner: str
    entry: int
    units: int
    entered_at: datetime
    who: Actor

    @property
    def place(self) -> "Place":
        """Where it stands in lists."""
        return self.key.partner_id, self.key.period, self.key.source, self.key.key, self.entry


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which entries to list; None is any. `history` lists replaced ones, too."""

    partner_id: UUID | None = None
    period: int | None = None
    source: str | None = None
    history: bool = False


Place = tuple[UUID, int, str, str, int]
"""The place of an entry in lists: its partner, period, source, key and number."""


async def enter(uow: UnitOfWork, key: UsageKey, units: int, now: datetime, *, replace: bool) -> bool:
    """Enter units of an existing partner; False if the same units are there already, which writes nothing.

    RuleViolation if others are there, unless they are to be replaced, if the period has not begun, or if its bill was
    issued.
    """
    connection = uow.connection
    await locks.lock_bills_shared(connection, key.partner_id)
    while True:
        newest = await _newest(connection, key)
        if newest is not None and newest["units"] == units:
            return False
        await _check_can_enter(connection, key, now)
        if newest is not None and not replace:
            raise RuleViolation(
                f"{key.source} {key.key!r} of {text_from_period(key.period)} has {newest['units']} units; "
                "send `replace` to enter others."
            )
        entry = newest["entry"] + 1 if newest else 1
        if await _add(uow, key, entry, units):
            break
        # Somebody else entered this key meanwhile and has committed; the next statement sees it.
    facts = {"period": text_from_period(key.period), "source": key.source, "key": key.key}
    before = None if newest is None else {**facts, "units": newest["units"]}
    await uow.audit("usage.entered", key.partner_id, before=before, after={**facts, "units": units})
    return True


async def page(connection: asyncpg.Connection, only: UsageFilter, *, after: Place | None, limit: int) -> list[Usage]:
    """Entries by partner, period, source, key and number."""
    rows = await connection.fetch(
        """
        SELECT usage.*, partners.external_id AS partner FROM usage JOIN partners ON partners.id = partner_id
        WHERE ($1::uuid IS NULL OR partner_id = $1) AND ($2::int IS NULL OR period = $2)
            AND ($3::text IS NULL OR source = $3)
            AND ($4 OR NOT EXISTS (
                SELECT FROM usage AS newer WHERE newer.partner_id = usage.partner_id AND newer.period = usage.period
                    AND newer.source = usage.source AND newer.key = usage.key AND newer.entry > usage.entry
            ))
            AND ($5::uuid IS NULL OR (partner_id, period, source, key, entry) > ($5, $6, $7, $8, $9))
        ORDER BY partner_id, period, source, key, entry LIMIT $10
        """,
        only.partner_id,
        only.period,
        only.source,
        only.history,
        *(after or (None,) * 5),
        limit,
    )
    return [usage_from_row(row) for row in rows]


async def read(connection: asyncpg.Connection, key: UsageKey) -> Usage | None:
    """The entry of a key that counts."""
    row = await connection.fetchrow(
        """
        SELECT usage.*, partners.external_id AS partner FROM usage JOIN partners ON partners.id = partner_id
        WHERE partner_id = $1 AND period = $2 AND source = $3 AND key = $4 ORDER BY entry DESC LIMIT 1
        """,
        key.partner_id,
        key.period,
        key.source,
        key.key,
    )
    return usage_from_row(row) if row else None


async def units_of_period(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[str, int]:
    """The units of a partner's period by source, without Leadger's own."""
    return (await units_of_partners(connection, [partner_id], period))[partner_id]


async def units_of_partners(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, dict[str, int]]:
    """The same of each partner."""
    units: dict[UUID, dict[str, int]] = {partner_id: {} for partner_id in partner_ids}
    rows = await connection.fetch(
        """
        SELECT partner_id, source, sum(units)::bigint AS units FROM (
            SELECT DISTINCT ON (partner_id, source, key) partner_id, source, units FROM usage
            WHERE partner_id = ANY($1::uuid[]) AND period = $2 ORDER BY partner_id, source, key, entry DESC
        ) AS newest GROUP BY partner_id, source ORDER BY source
        """,
        partner_ids,
        period,
    )
    for row in rows:
        units[row["partner_id"]][row["source"]] = row["units"]
    return units


async def units_by_period(connection: asyncpg.Connection, partner_id: UUID, most: int) -> dict[int, dict[str, int]]:
    """The units of a partner's newest periods that have some, oldest first, by source, without Leadger's own."""
    rows = await connection.fetch(
        """
        SELECT period, source, sum(units)::bigint AS units FROM (
            SELECT DISTINCT ON (period, source, key) period, source, units FROM usage
            WHERE partner_id = $1 AND period = ANY(ARRAY(
                SELECT DISTINCT period FROM usage WHERE partner_id = $1 ORDER BY period DESC LIMIT $2
            )) ORDER BY period, source, key, entry DESC
        ) AS newest GROUP BY period, source ORDER BY period, source
        """,
        partner_id,
        most,
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["period"], {})[row["source"]] = row["units"]
    return found


async def makers(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], periods: Sequence[int]
) -> list[tuple[UUID, int, Actor]]:
    """Everybody who ever entered units of these periods, each of the partner in the same place.

    Also such as were replaced: none of them approves the bill of the period (B5).
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT partner_id, period, who_kind, who_id, who_name FROM usage
        JOIN unnest($1::uuid[], $2::int[]) AS asked (partner_id, period) USING (partner_id, period)
        """,
        partner_ids,
        periods,
    )
    return [(row["partner_id"], row["period"], actor_from_row(row)) for row in rows]


def usage_from_row(row: asyncpg.Record) -> Usage:
    """A row of usage with its partner's external id."""
    return Usage(
        key=UsageKey(row["partner_id"], row["period"], row["source"], row["key"]),
        partner=row["partner"],
        entry=row["entry"],
        units=row["units"],
        entered_at=row["entered_at"],
        who=actor_from_row(row),
    )


async def _newest(connection: asyncpg.Connection, key: UsageKey) -> asyncpg.Record | None:
    return await connection.fetchrow(
        """
        SELECT entry, units FROM usage WHERE partner_id = $1 AND period = $2 AND source = $3 AND key = $4
        ORDER BY entry DESC LIMIT 1
        """,
        key.partner_id,
        key.period,
        key.source,
        key.key,
    )


async def _check_can_enter(connection: asyncpg.Connection, key: UsageKey, now: datetime) -> None:
    timezone = await connection.fetchval(
        "SELECT timezone FROM partner_time_zones WHERE partner_id = $1 ORDER BY from_period DESC LIMIT 1",
        key.partner_id,
    )
    if now < start_of_period(key.period, timezone):
        raise RuleViolation(f"{name_of_period(key.period)} has not begun yet, so it has no usage.")
    if key.period in await issued_periods(connection, key.partner_id):
        raise RuleViolation(f"The bill of {name_of_period(key.period)} was issued, so its usage never changes.")


async def _add(uow: UnitOfWork, key: UsageKey, entry: int, units: int) -> bool:
    status = await uow.connection.execute(
        """
        INSERT INTO usage (partner_id, period, source, key, entry, units, who_kind, who_id, who_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
        """,
        key.partner_id,
        key.period,
        key.source,
        key.key,
        entry,
        units,
        uow.actor.kind,
        uow.actor.id,
        uow.actor.name,
    )
    return status == "INSERT 0 1"
