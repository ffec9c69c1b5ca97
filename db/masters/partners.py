"""Partners: reading and creating them, and changing what is not versioned."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from db.core import locks
from db.core.orders import Order
from db.core.row_keys import partner_uuid
from db.core.unit_of_work import UnitOfWork
from db.masters.terms import PartnerTerms, partner_terms_from_row, write_terms


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner with the terms and the time zone of a period. `terms_since` is the first period of these terms."""

    id: UUID
    external_id: str
    name: str
    billing_email: str | None
    currency: str
    timezone: str
    closed_through: int | None
    """The newest closed period; None if none is closed."""
    terms: PartnerTerms
    terms_since: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewPartner:
    """A partner to create."""

    external_id: str
    name: str
    billing_email: str | None = None
    currency: str = "EUR"
    timezone: str = "UTC"
    terms: PartnerTerms = field(default_factory=PartnerTerms)


LATEST_ZONE = "SELECT timezone FROM partner_time_zones WHERE partner_id = {0} ORDER BY from_period DESC LIMIT 1"
"""A query of the time zone of a partner as it is newest, whose row key stands at {0}."""


async def zones(connection: asyncpg.Connection, partner_ids: Collection[UUID]) -> dict[UUID, str]:
    """The newest time zone of each partner that exists."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (partner_id) partner_id, timezone FROM partner_time_zones
        WHERE partner_id = ANY($1::uuid[]) ORDER BY partner_id, from_period DESC
        """,
        list(partner_ids),
    )
    return {row["partner_id"]: row["timezone"] for row in rows}


async def exists(connection: asyncpg.Connection, partner_id: UUID) -> bool:
    """Whether there is such a partner."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM partners WHERE id = $1)", partner_id)
    return found


_PARTNERS = """
    SELECT partners.*, terms.*, zones.timezone
    FROM partners
    CROSS JOIN LATERAL (
        SELECT * FROM partner_terms WHERE partner_id = partners.id
            AND ($1::int IS NULL OR from_period <= $1) ORDER BY from_period DESC LIMIT 1
    ) AS terms
    CROSS JOIN LATERAL (
        SELECT timezone FROM partner_time_zones WHERE partner_id = partners.id
            AND ($1::int IS NULL OR from_period <= $1) ORDER BY from_period DESC LIMIT 1
    ) AS zones
"""


async def read(connection: asyncpg.Connection, partner_id: UUID, period: int | None = None) -> Partner | None:
    """A partner with the terms and the time zone of a period, by default the newest ones."""
    row = await connection.fetchrow(f"{_PARTNERS} WHERE partners.id = $2", period, partner_id)
    return partner_from_row(row) if row else None


async def read_page(
    connection: asyncpg.Connection, *, after: str | None, limit: int, search: str | None = None
) -> list[Partner]:
    """Partners by external id, each with its newest terms; with `search` those whose id or name has this text."""
    rows = await connection.fetch(
        f"""
        {_PARTNERS} WHERE ($2::text IS NULL OR partners.external_id > $2)
            AND ($4::text IS NULL OR strpos(lower(partners.external_id || ' ' || partners.name), lower($4)) > 0)
        ORDER BY partners.external_id LIMIT $3
        """,
        None,
        after,
        limit,
        search,
    )
    return [partner_from_row(row) for row in rows]


class PartnerOrder(Order):
    """What partners are sorted by; of equal ones their own id decides. Without a closed month or a CSM is least."""

    BY_ID = "id"
    BY_ID_BACKWARDS = "-id"
    BY_NAME = "name"
    BY_NAME_BACKWARDS = "-name"
    MOST_CLOSED = "-closed"
    LEAST_CLOSED = "closed"
    BY_CSM = "csm"
    BY_CSM_BACKWARDS = "-csm"

    @property
    def place_kind(self) -> type["PartnerPlace"]:
        """The type of its places."""
        return tuple[int, str] if self.column == "closed" else tuple[str, str]


PartnerPlace = tuple[str | int, str]
"""What a partner is sorted by, and its own id."""
_SORTED_BY = {
    "id": ("partners.external_id", ""),
    "name": ("lower(partners.name)", ""),
    "closed": ("coalesce(closed_through, 0)", ""),
    "csm": (
        "coalesce(lower(users.name), '')",
        """
        LEFT JOIN (
            SELECT DISTINCT ON (partner_id) partner_id, csm_id FROM billing_terms ORDER BY partner_id, from_period DESC
        ) AS newest ON newest.partner_id = partners.id
        LEFT JOIN users ON users.id = csm_id
        """,
    ),
}


async def sorted_page(
    connection: asyncpg.Connection,
    order: PartnerOrder,
    *,
    before: PartnerPlace | None,
    limit: int,
    search: str | None = None,
) -> tuple[list[Partner], PartnerPlace | None]:
    """The same in an order, and the place of the last one if there may be more; `before` is that of the page before."""
    value, joined = _SORTED_BY[order.column]
    values: list[object] = [None, search, limit]
    place = "true"
    if before is not None:
        place = f"(value, external_id) {order.following} ($4, $5)"
        values += before
    rows = await connection.fetch(
        f"""
        SELECT listed.value, found.* FROM (
            SELECT id, value FROM (
                SELECT partners.id, partners.external_id, {value} AS value FROM partners {joined}
                WHERE $2::text IS NULL
                    OR strpos(lower(partners.external_id || ' ' || partners.name), lower($2)) > 0
            ) AS every
            WHERE {place} ORDER BY value {order.direction}, external_id {order.direction} LIMIT $3
        ) AS listed CROSS JOIN LATERAL ({_PARTNERS} WHERE partners.id = listed.id) AS found
        ORDER BY value {order.direction}, external_id {order.direction}
        """,  # noqa: S608 - constants
        *values,
    )
    following = (rows[-1]["value"], rows[-1]["external_id"]) if len(rows) == limit else None
    return [partner_from_row(row) for row in rows], following


def partner_from_row(row: asyncpg.Record) -> Partner:
    """A row of the query above."""
    return Partner(
        id=row["id"],
        external_id=row["external_id"],
        name=row["name"],
        billing_email=row["billing_email"],
        currency=row["currency"],
        timezone=row["timezone"],
        closed_through=row["closed_through"],
        terms=partner_terms_from_row(row),
        terms_since=row["from_period"],
        created_at=row["created_at"],
    )


async def create(uow: UnitOfWork, new: NewPartner) -> bool:
    """Create a partner with terms and time zone from the beginning of time; False if the id is taken."""
    connection, partner_id = uow.connection, partner_uuid(new.external_id)
    # A new rule for all partners re-evaluates those that it finds, so it must not miss this one.
    await locks.lock_rate_card_shared(connection)
    status = await connection.execute(
        """
        INSERT INTO partners (id, external_id, name, billing_email, currency) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        partner_id,
        new.external_id,
        new.name,
        new.billing_email,
        new.currency,
    )
    if status == "INSERT 0 0":
        return False
    await write_terms(connection, partner_id, 0, new.terms)
    await connection.execute(
        "INSERT INTO partner_time_zones (partner_id, from_period, timezone) VALUES ($1, 0, $2)",
        partner_id,
        new.timezone,
    )
    await uow.audit("partner.created", partner_id, after={"external_id": new.external_id, "name": new.name})
    return True


async def write_fields(connection: asyncpg.Connection, partner_id: UUID, fields: Mapping[str, str | None]) -> None:
    """Change name, billing_email or currency, under the partner's exclusive lock.

    RuleViolation for another currency once there is an action (R14) or an entry on the account.
    """
    if "currency" in fields:
        row = await connection.fetchrow(
            """
            SELECT currency, EXISTS (SELECT FROM actions WHERE partner_id = partners.id) AS has_actions,
                EXISTS (SELECT FROM account_entries WHERE partner_id = partners.id) AS has_account
            FROM partners WHERE id = $1
            """,
            partner_id,
        )
        assert row is not None
        if row["currency"] != fields["currency"] and (row["has_actions"] or row["has_account"]):
            why = "actions" if row["has_actions"] else "an account"
            raise RuleViolation(f"The currency is {row['currency']} for good, because the partner has {why}.")
    for name, value in fields.items():
        await connection.execute(f'UPDATE partners SET "{name}" = $2 WHERE id = $1', partner_id, value)  # noqa: S608 - callers name columns only: those of PartnerUpdate


async def raise_policy_version(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> None:
    """Make every customer of the partners stale: their actions wait for a re-evaluation by the new terms and rates."""
    await connection.execute(
        "UPDATE partners SET policy_version = policy_version + 1 WHERE id = ANY($1::uuid[])", list(partner_ids)
    )


async def raise_policy_version_for_rates(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> None:
    """The same, where nothing but rates changes: what is new of a stale customer can be judged beside the rest.

    A change of another kind does not write `unchanged_terms`, whose versions then end before the partner's.
    """
    await connection.execute(
        """
        WITH raised AS (
            UPDATE partners SET policy_version = policy_version + 1 WHERE id = ANY($1::uuid[])
            RETURNING id, policy_version
        )
        INSERT INTO unchanged_terms (partner_id, since_version, through_version)
        SELECT id, policy_version - 1, policy_version FROM raised
        ON CONFLICT (partner_id) DO UPDATE SET through_version = excluded.through_version,
            since_version = CASE unchanged_terms.through_version
                WHEN excluded.since_version THEN unchanged_terms.since_version ELSE excluded.since_version END
        """,
        partner_ids,
    )
