"""Reading recorded verdicts for the evaluator. Call it under the locks of `db.core.locks.lock_customers`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from uuid import UUID

import asyncpg

from billing.actions import Action, HoldStatus, Outcome, Verdict
from billing.texts import text_key
from billing.uncovered import Span
from db.core.totals_rows import Row
from db.ledger.case import Customer

_HOLD_STATUSES = {hold_status.value: hold_status for hold_status in HoldStatus}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}

_COLUMNS = (
    "id",
    "lead_id",
    "product_id",
    "action_type",
    "engagement_level",
    "occurred_at",
    "occurrence",
    "duplicate_key",
    "own_period",
    "billing_period",
    "value_minor",
    "rate_rule_id",
    "standing",
    "outcome",
    "billed_minor",
)
_columns_of = itemgetter(*_COLUMNS)
_VERDICT_COLUMNS = ", ".join(f"actions.{name}" for name in (*_COLUMNS, "partner_id", "customer_id"))

WON = "actions.outcome IN ('billed', 'partly_billed', 'capped')"
"""Which actions are winners, as their index has it."""


async def verdicts_of_actions(connection: asyncpg.Connection, action_ids: Iterable[UUID]) -> list[asyncpg.Record]:
    """The recorded verdicts of actions, by id."""
    return await connection.fetch(
        f"SELECT {_VERDICT_COLUMNS} FROM actions WHERE id = ANY($1::uuid[])",  # noqa: S608 - names of our own columns
        list(action_ids),
    )


async def first_counted(connection: asyncpg.Connection, spans: Sequence[tuple[Customer, Span]]) -> list[asyncpg.Record]:
    """The verdict of the first action of each span of a duplicate key that is neither held nor returned."""
    return await connection.fetch(
        f"""
        SELECT first.*
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::int[]
        ) AS wanted (partner_id, customer_id, period, key, starts_at, ends_at, lead_id, occurrence)
        CROSS JOIN LATERAL (
            SELECT {_VERDICT_COLUMNS} FROM actions
            WHERE actions.partner_id = wanted.partner_id AND actions.billing_period = wanted.period
                AND actions.customer_id = wanted.customer_id AND actions.duplicate_key = wanted.key
                AND actions.occurred_at BETWEEN wanted.starts_at AND wanted.ends_at
                AND (actions.occurred_at, actions.lead_id, actions.occurrence)
                    < (wanted.ends_at, wanted.lead_id, wanted.occurrence)
                AND standing = 'counted'
            ORDER BY occurred_at, actions.lead_id, actions.occurrence LIMIT 1
        ) AS first
        """,  # noqa: S608 - names of our own columns
        [customer[0] for customer, _ in spans],
        [customer[1] for customer, _ in spans],
        [span.period for _, span in spans],
        [span.key for _, span in spans],
        [span.start for _, span in spans],
        [span.end for _, span in spans],
        [span.before[0] for _, span in spans],
        [span.before[1] for _, span in spans],
    )


async def verdicts_of_first_winners(
    connection: asyncpg.Connection, numbers: Sequence[tuple[Customer, int, int]]
) -> list[asyncpg.Record]:
    """The verdicts of the first winners of periods, given as ((partner, customer), period, how many).

    The winners of the last one's lead at the last one's instant are included: their order is not that of an index.
    """
    return await connection.fetch(
        f"""
        SELECT first_winners.*
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) AS wanted (partner_id, customer_id, period, most)
        CROSS JOIN LATERAL (
            SELECT {_VERDICT_COLUMNS} FROM actions
            WHERE actions.partner_id = wanted.partner_id AND actions.billing_period = wanted.period
                AND actions.customer_id = wanted.customer_id AND {WON}
            ORDER BY occurred_at, actions.lead_id FETCH FIRST (wanted.most) ROWS WITH TIES
        ) AS first_winners
        """,  # noqa: S608 - names of our own columns
        [customer[0] for customer, _, _ in numbers],
        [customer[1] for customer, _, _ in numbers],
        [period for _, period, _ in numbers],
        [number for _, _, number in numbers],
    )


async def open_verdicts(
    connection: asyncpg.Connection, customers: Iterable[tuple[Customer, int]]
) -> Iterator[tuple[int, str, Verdict]]:
    """All verdicts of customers, given as ((partner, customer), first billing period).

    Each comes as (place among the customers, lead type, verdict).
    """
    wanted = list(customers)
    # Actions are indexed by partner, period and customer, in this order, so each period is looked up by itself. The
    # list of periods is materialized, or a server that can skip the period in the index reads other customers, too.
    rows = await connection.fetch(
        f"""
        WITH RECURSIVE wanted AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])
                WITH ORDINALITY AS wanted (partner_id, customer_id, first, place)
        ), used (partner_id, first, period) AS (
            SELECT partner_id, first, first - 1 FROM (SELECT DISTINCT partner_id, first FROM wanted) AS partners
            UNION ALL
            SELECT partner_id, first, (
                SELECT min(billing_period) FROM actions
                WHERE actions.partner_id = used.partner_id AND billing_period > used.period
            ) FROM used WHERE period IS NOT NULL
        ), looked_for AS MATERIALIZED (
            SELECT place, partner_id, customer_id, period FROM wanted JOIN used USING (partner_id, first)
            WHERE period >= first
        )
        SELECT place - 1, leads.lead_type, {", ".join(f"actions.{name}" for name in _COLUMNS)}
        FROM looked_for
        JOIN actions ON actions.partner_id = looked_for.partner_id AND actions.billing_period = looked_for.period
            AND actions.customer_id = looked_for.customer_id
        JOIN leads ON leads.id = actions.lead_id
        """,  # noqa: S608 - names of our own columns
        [customer[0] for customer, _ in wanted],
        [customer[1] for customer, _ in wanted],
        [first for _, first in wanted],
    )
    return ((place, lead_type, _verdict(*columns)) for place, lead_type, *columns in rows)


async def verdicts_of_periods(
    connection: asyncpg.Connection, partner_id: UUID, wanted: Sequence[tuple[UUID, int]], *, lead_types: bool
) -> Iterator[tuple[UUID, str, Verdict]]:
    """All verdicts of a partner's customers in billing periods, given as (customer, period).

    Each comes as (customer, lead type, verdict); without `lead_types` the type is empty, and leads are not read.
    """
    rows = await connection.fetch(
        f"""
        SELECT actions.customer_id, {"leads.lead_type" if lead_types else "''"},
            {", ".join(f"actions.{name}" for name in _COLUMNS)}
        FROM unnest($2::uuid[], $3::int[]) AS wanted (customer_id, period)
        JOIN actions ON actions.partner_id = $1 AND actions.billing_period = wanted.period
            AND actions.customer_id = wanted.customer_id
        {"JOIN leads ON leads.id = actions.lead_id" if lead_types else ""}
        """,  # noqa: S608 - names of our own columns
        partner_id,
        [customer_id for customer_id, _ in wanted],
        [period for _, period in wanted],
    )
    return ((customer_id, lead_type, _verdict(*columns)) for customer_id, lead_type, *columns in rows)


def customer_from_row(row: asyncpg.Record) -> Customer:
    """The (partner, customer) of a row of actions."""
    return row["partner_id"], row["customer_id"]


def verdict_from_row(row: Row) -> Verdict:
    """A row of actions as the evaluator knows it."""
    return _verdict(*_columns_of(row))


def _verdict(
    action_id: UUID,
    lead_id: UUID,
    product_id: UUID,
    action_type: str,
    engagement_level: str,
    occurred_at: datetime,
    occurrence: int,
    key: UUID,
    own_period: int,
    billing_period: int,
    value_minor: int,
    rate_rule_id: int,
    hold_status: str,
    outcome: str,
    billed_minor: int,
) -> Verdict:
    # By position and without calling the enums, because a rebuild does this for every action of a month.
    action = Action(
        action_id,
        lead_id,
        product_id,
        action_type,
        text_key(action_type),
        engagement_level,
        text_key(engagement_level),
        occurred_at,
        occurrence,
        key,
        own_period,
        billing_period,
        value_minor,
        rate_rule_id,
        _HOLD_STATUSES[hold_status],
    )
    return Verdict(action, _OUTCOMES[outcome], billed_minor)


async def partner_of_action(connection: asyncpg.Connection, action_id: UUID) -> UUID | None:
    """The partner who pays for an action; None if there is no such action."""
    partner_id: UUID | None = await connection.fetchval("SELECT partner_id FROM actions WHERE id = $1", action_id)
    return partner_id


async def actions_named(
    connection: asyncpg.Connection, keys: Sequence[UUID], partner_id: UUID | None = None
) -> dict[tuple[UUID, bool], list[UUID]]:
    """The actions that keys name, of one partner if it is given.

    By (action, False) it is the action itself, by (lead, True) all actions of the lead.
    """
    rows = await connection.fetch(
        """
        SELECT id, id AS named, false AS is_lead FROM actions
        WHERE id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR partner_id = $2)
        UNION ALL
        SELECT id, lead_id, true FROM (
            SELECT * FROM actions WHERE lead_id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR partner_id = $2)
            ORDER BY occurred_at, id
        ) AS of_leads
        """,
        keys,
        partner_id,
    )
    found: dict[tuple[UUID, bool], list[UUID]] = {}
    for row in rows:
        found.setdefault((row["named"], row["is_lead"]), []).append(row["id"])
    return found
