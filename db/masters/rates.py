"""The rules of the rate card (R5). A rule is never changed: it ends, and another one may take its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.periods import start_of_period
from billing.rate_starts import Span, Start
from billing.texts import text_key


@dataclass(frozen=True, slots=True)
class NewRate:
    """A rule to add. A condition of None is "any", an amount of None ends the override.

    `start` None is the first open period of each partner that it touches.
    """

    partner_id: UUID | None
    product_id: UUID | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount_minor: int | None
    start: Start = None

    @property
    def names_level_only(self) -> bool:
        """Whether it names a level at most, like the rules that price whatever no other rule prices."""
        return not (self.partner_id or self.product_id or self.lead_type or self.action_type)


@dataclass(frozen=True, slots=True)
class StoredRate:
    """A rule of the card. `spans` are the partners for which it starts later, or ended after it had counted."""

    id: int
    rate: NewRate
    partner: str | None
    product: str | None
    created_at: datetime
    created_by: str | None
    ended_at: datetime | None = None
    ended_by: str | None = None
    replaced_by: int | None = None
    replaces: tuple[int, ...] = ()
    spans: Mapping[UUID, Span] = field(default_factory=dict)


_RATES = """
    SELECT rates.*, partners.external_id AS partner, products.external_id AS product,
        ARRAY(SELECT id FROM rates AS earlier WHERE earlier.replaced_by = rates.id ORDER BY id) AS replaces
    FROM rates LEFT JOIN partners ON partners.id = rates.partner_id
    LEFT JOIN products ON products.id = rates.product_id
"""


_OF_PARTNER = "({0}::uuid IS NULL OR coalesce(rates.partner_id, products.partner_id, {0}) = {0})"


async def read(connection: asyncpg.Connection, rule_id: int, partner_id: UUID | None = None) -> StoredRate | None:
    """One rule with all its spans; of a partner, if it can price its actions, with its spans only."""
    row = await connection.fetchrow(f"{_RATES} WHERE rates.id = $1 AND {_OF_PARTNER.format('$2')}", rule_id, partner_id)
    if row is None:
        return None
    return stored_rate_from_row(row, (await _spans(connection, [rule_id], partner_id)).get(rule_id, {}))


async def read_page(
    connection: asyncpg.Connection, *, after: int, limit: int, partner_id: UUID | None = None, ended: bool = False
) -> list[StoredRate]:
    """Rules by id, oldest first; of a partner, those that can price its actions, with its spans only.

    Without `ended`, only rules in force.
    """
    rows = await connection.fetch(
        f"""
        {_RATES} WHERE rates.id > $1 AND ($4 OR rates.ended_at IS NULL) AND {_OF_PARTNER.format("$3")}
        ORDER BY rates.id LIMIT $2
        """,
        after,
        limit,
        partner_id,
        ended,
    )
    spans = await _spans(connection, [row["id"] for row in rows], partner_id) if partner_id else {}
    return [stored_rate_from_row(row, spans.get(row["id"], {})) for row in rows]


def stored_rate_from_row(row: asyncpg.Record, spans: Mapping[UUID, Span]) -> StoredRate:
    """A row of the query above."""
    return StoredRate(
        id=row["id"],
        rate=NewRate(
            partner_id=row["partner_id"],
            product_id=row["product_id"],
            lead_type=row["lead_type"],
            action_type=row["action_type"],
            engagement_level=row["engagement_level"],
            amount_minor=row["amount_minor"],
            start=row["from_period"] or row["effective_from"],
        ),
        partner=row["partner"],
        product=row["product"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
        replaced_by=row["replaced_by"],
        replaces=tuple(row["replaces"]),
        spans=spans,
    )


async def affected_partners(
    connection: asyncpg.Connection, partner_id: UUID | None, product_id: UUID | None
) -> list[UUID]:
    """The partners whose actions a rule for this partner and product can price; empty if the two do not match."""
    rows = await connection.fetch(
        """
        SELECT id FROM partners
        WHERE ($1::uuid IS NULL OR id = $1)
            AND ($2::uuid IS NULL OR id = (SELECT partner_id FROM products WHERE id = $2))
        """,
        partner_id,
        product_id,
    )
    return [row["id"] for row in rows]


async def in_force(connection: asyncpg.Connection, rate: NewRate) -> int | None:
    """The rule in force with the same conditions and start (R5), under the lock of the partners that it touches."""
    instant, period = _start_columns(rate.start)
    rule_id: int | None = await connection.fetchval(
        """
        SELECT id FROM rates
        WHERE partner_id IS NOT DISTINCT FROM $1 AND product_id IS NOT DISTINCT FROM $2
            AND lead_type_key IS NOT DISTINCT FROM $3 AND action_type_key IS NOT DISTINCT FROM $4
            AND level_key IS NOT DISTINCT FROM $5 AND effective_from IS NOT DISTINCT FROM $6
            AND from_period IS NOT DISTINCT FROM $7 AND ended_at IS NULL
        """,
        rate.partner_id,
        rate.product_id,
        _key(rate.lead_type),
        _key(rate.action_type),
        _key(rate.engagement_level),
        instant,
        period,
    )
    return rule_id


async def insert(
    connection: asyncpg.Connection, rate: NewRate, later: Mapping[UUID, int], created_by: str | None
) -> int:
    """Store a rule, which starts later for some partners, and return its id."""
    instant, period = _start_columns(rate.start)
    rule_id: int = await connection.fetchval(
        """
        INSERT INTO rates (
            partner_id, product_id, lead_type, action_type, engagement_level, lead_type_key, action_type_key, level_key,
            amount_minor, effective_from, from_period, created_by
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        RETURNING id
        """,
        rate.partner_id,
        rate.product_id,
        rate.lead_type,
        rate.action_type,
        rate.engagement_level,
        _key(rate.lead_type),
        _key(rate.action_type),
        _key(rate.engagement_level),
        rate.amount_minor,
        instant,
        period,
        created_by,
    )
    await connection.execute(
        """
        INSERT INTO rate_spans (rule_id, partner_id, from_period)
        SELECT $1, * FROM unnest($2::uuid[], $3::int[])
        """,
        rule_id,
        list(later),
        list(later.values()),
    )
    return rule_id


async def end(connection: asyncpg.Connection, rule_id: int, until: Mapping[UUID, int], ended_by: str) -> None:
    """End a rule. For partners with closed periods in which it counted, it counts until the period given."""
    await connection.execute(
        "UPDATE rates SET ended_at = clock_timestamp(), ended_by = $2 WHERE id = $1", rule_id, ended_by
    )
    await connection.execute(
        """
        INSERT INTO rate_spans (rule_id, partner_id, until_period)
        SELECT $1, * FROM unnest($2::uuid[], $3::int[])
        ON CONFLICT (partner_id, rule_id) DO UPDATE SET until_period = excluded.until_period
        """,
        rule_id,
        list(until),
        list(until.values()),
    )


async def note_replaced(connection: asyncpg.Connection, rule_id: int, replaced_by: int) -> None:
    """Keep which rule took the place of an ended one."""
    await connection.execute("UPDATE rates SET replaced_by = $2 WHERE id = $1", rule_id, replaced_by)


async def _spans(
    connection: asyncpg.Connection, rule_ids: Sequence[int], partner_id: UUID | None
) -> dict[int, dict[UUID, Span]]:
    """The spans of rules, of all partners or of one."""
    spans: dict[int, dict[UUID, Span]] = {}
    for row in await connection.fetch(
        """
        SELECT * FROM rate_spans
        WHERE rule_id = ANY($1::bigint[]) AND ($2::uuid IS NULL OR partner_id = $2)
        """,
        list(rule_ids),
        partner_id,
    ):
        spans.setdefault(row["rule_id"], {})[row["partner_id"]] = span_from_row(row)
    return spans


def span_from_row(row: asyncpg.Record) -> Span:
    """A row of rate_spans."""
    return Span(row["from_period"], row["until_period"])


def _start_columns(start: Start) -> tuple[datetime | None, int | None]:
    """A start as the columns effective_from and from_period.

    A period has an instant too, by which a release before 0.3 prices while it still runs.
    """
    if isinstance(start, int):
        return start_of_period(start, "UTC"), start
    return start, None


def _key(text: str | None) -> str | None:
    return None if text is None else text_key(text)
