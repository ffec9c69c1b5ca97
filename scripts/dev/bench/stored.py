"""Fills tables with consistent rows by the million, made inside Postgres by generate_series.

Every customer of a world gets the same number of actions in every period that is filled, all at the level Low (2.00),
the n-th one at instant n. With `types` action types the first of each type wins and the later ones duplicate it; the
cap of 100.00 lets the first 50 winners be billed. So the verdicts, winners and counters are those of the evaluator,
which a rebuild proves. Only the ids are not: they are made by md5, not named after what they identify (R1).
"""

from dataclasses import dataclass

import asyncpg

_LOW_MINOR = 200
_CAP_WINNERS = 50
_PARTS = 8
_LARGE = ["leads", "actions", "winners"]


@dataclass(frozen=True)
class Fill:
    """`periods` months up to `last_period`, each with `actions` actions of two to a lead for every customer."""

    actions: int
    periods: tuple[int, ...]
    types: int


async def fill(connection: asyncpg.Connection, what: Fill, products_per_partner: int) -> int:
    """Write the rows, bulk-load style: without checking references, the indexes of large tables made afterwards."""
    # The rows refer to each other by construction; checking each of them again costs more than writing it.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'; SET synchronous_commit = off")
    # An index that is not ready is passed over by INSERT; REINDEX makes it ready again.
    await connection.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = ANY($1::regclass[])", _LARGE
    )
    rule = await connection.fetchval(
        """
        SELECT id FROM rates WHERE level_key = 'low' AND partner_id IS NULL AND product_id IS NULL
            AND lead_type_key IS NULL AND action_type_key IS NULL
        """
    )
    await connection.execute(
        """
        CREATE TEMPORARY TABLE people AS
        SELECT customers.id AS customer_id, customers.external_id, products.partner_id, products.id AS product_id,
            row_number() OVER (ORDER BY customers.external_id) AS number
        FROM (SELECT *, (row_number() OVER (ORDER BY external_id) - 1) AS place FROM customers) AS customers
        JOIN (SELECT *, row_number() OVER (ORDER BY external_id) - 1 AS place FROM products) AS products
            ON products.place = $1 * (customers.place % (SELECT count(*) FROM partners))
        """.replace("$1", str(products_per_partner))
    )
    for period in what.periods:
        for part in range(_PARTS):
            await connection.execute(_SPREAD.format(**_names(what, period, part)))
            for statement in (_INBOX, _LEADS, _ACTIONS.replace("{rule}", str(rule)), _WINNERS, "DROP TABLE spread"):
                await connection.execute(statement)
        await connection.execute(_COUNTERS.format(**_names(what, period, 0)))
    await connection.execute(_STATES)
    for table in _LARGE:
        await connection.execute(f"REINDEX TABLE {table}")
    await connection.execute("RESET session_replication_role; DROP TABLE people")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    count: int = await connection.fetchval("SELECT count(*) FROM actions")
    return count


def _names(what: Fill, period: int, part: int) -> dict[str, object]:
    return {
        "actions": what.actions,
        "leads": what.actions // 2,
        "types": what.types,
        "period": period,
        "start": f"{period // 100}-{period % 100:02d}-01 00:00Z",
        "part": part,
        "parts": _PARTS,
        "low": _LOW_MINOR,
        "cap": _CAP_WINNERS,
        "winning": min(what.types, what.actions),
        "billed": min(what.types, what.actions, _CAP_WINNERS),
    }


_SPREAD = """
CREATE TEMPORARY TABLE spread AS
SELECT people.customer_id, people.partner_id, people.product_id, people.external_id, {period} AS period, n,
    md5('lead ' || people.number || ' {period} ' || n / 2)::uuid AS lead_id,
    md5('action ' || people.number || ' {period} ' || n)::uuid AS action_id,
    md5('key ' || people.number || ' {period} ' || n % {types})::uuid AS key,
    'Stored {period} ' || n % {types} AS action_type,
    timestamptz '{start}' + n * interval '1 hour' AS occurred_at,
    CASE WHEN n >= {types} THEN 'duplicate' WHEN n < {cap} THEN 'billed' ELSE 'capped' END::outcome AS outcome
FROM people CROSS JOIN generate_series(0, {actions} - 1) AS n WHERE people.number % {parts} = {part}
"""

_INBOX = """
INSERT INTO inbox (batch_id, part, lane, request_id, received_at, lead_count, lead_ids, payload, done_at, result)
SELECT md5('batch ' || external_id || period)::uuid, 0, 0, 'stored', max(occurred_at), count(*), array_agg(lead_id),
    '[]', max(occurred_at), '{"leads": {}, "actions": {}, "problems": []}'
FROM spread WHERE n % 2 = 0 GROUP BY external_id, period
"""

_LEADS = """
INSERT INTO leads (id, source, external_id, partner_id, product_id, customer_id, lead_type, created_at, received_at)
SELECT lead_id, '', 'stored-' || external_id || '-' || period || '-' || n / 2, partner_id, product_id, customer_id,
    'Website Visit', occurred_at, occurred_at FROM spread WHERE n % 2 = 0
"""

_ACTIONS = """
INSERT INTO actions (id, lead_id, partner_id, customer_id, product_id, action_type, engagement_level, occurred_at,
    occurrence, duplicate_key, own_period, billing_period, rate_rule_id, value_minor, billed_minor, standing, outcome)
SELECT action_id, lead_id, partner_id, customer_id, product_id, action_type, 'Low', occurred_at, 0, key, period, period,
    {rule}, 200, CASE outcome WHEN 'billed' THEN 200 ELSE 0 END, 'counted', outcome FROM spread
"""

_WINNERS = """
INSERT INTO winners (duplicate_key, slot, action_id, partner_id, customer_id, billing_period, own_period, occurred_at)
SELECT key, 0, action_id, partner_id, customer_id, period, period, occurred_at FROM spread WHERE outcome <> 'duplicate'
"""

_STATES = """
INSERT INTO customer_states (partner_id, customer_id, policy_version)
SELECT partner_id, customer_id, policy_version FROM people JOIN partners ON partners.id = partner_id
"""

_COUNTERS = """
WITH each AS (
    SELECT {leads} AS leads, {actions} AS actions, {billed} AS billed, {winning} - {billed} AS capped,
        {actions} - {winning} AS duplicate
), periods_of AS (
    INSERT INTO periods (partner_id, period, starts_at, ends_at)
    SELECT id, {period}, timestamptz '{start}', timestamptz '{start}' + interval '1 month' FROM partners
), of_customers AS (
    INSERT INTO customer_periods (partner_id, customer_id, period, leads, actions, billed, capped, duplicate,
        gross_minor, billed_minor, duplicate_savings_minor, cap_savings_minor, last_occurred_at, policy_version)
    SELECT partner_id, customer_id, {period}, leads, actions, billed, capped, duplicate, {low} * actions,
        {low} * billed, {low} * duplicate, {low} * capped,
        timestamptz '{start}' + ({actions} - 1) * interval '1 hour', policy_version
    FROM people CROSS JOIN each JOIN partners ON partners.id = partner_id
)
INSERT INTO product_periods (partner_id, period, product_id, slot, leads, actions, billed, capped, duplicate,
    gross_minor, billed_minor, duplicate_savings_minor, cap_savings_minor)
SELECT partner_id, {period}, product_id, 0, sum(leads), sum(actions), sum(billed), sum(capped), sum(duplicate),
    {low} * sum(actions), {low} * sum(billed), {low} * sum(duplicate), {low} * sum(capped)
FROM people CROSS JOIN each GROUP BY partner_id, product_id
"""
