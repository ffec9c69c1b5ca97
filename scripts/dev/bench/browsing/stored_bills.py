"""Fills a database with bills at every stage, held actions and a run over all partners, by one statement per table.

Every bill says what one real, issued bill of the first partner says, in its own partner's name. So lists, counts and
accounts are as they would be; only digests, seals and the amounts of leads are not, which no list compares.
"""

from uuid import UUID

import asyncpg


async def fill_bills(connection: asyncpg.Connection, model: UUID, periods: tuple[int, ...]) -> int:
    """One bill for each partner and period, and returns how many bills there are.

    The last period is not issued yet, the one before is issued and not due, the earlier ones are paid but for one bill
    in 50, which is overdue. The model's own partner and period keep theirs.
    """
    await connection.execute("SET session_replication_role = replica; SET work_mem = '256MB'")
    await connection.execute(
        """
        CREATE TEMPORARY TABLE stage AS
        SELECT md5('bill ' || partners.id || period)::uuid AS id, partners.id AS partner_id, external_id, period,
            made.place::int AS place, number, period <> $3 AS issued,
            period <> $2 AND period <> $3 AND (number + made.place) % 50 <> 0 AS paid,
            to_date(period::text, 'YYYYMM') + interval '1 month' + number * interval '1 second' AS created_at,
            CASE period WHEN $2 THEN current_date + 10 ELSE to_date(period::text, 'YYYYMM') + 60 END AS due_on,
            CASE WHEN period <> $3 THEN 'issued'
                ELSE (ARRAY['draft', 'draft', 'draft', 'draft', 'pending', 'pending', 'pending',
                    'approved', 'approved', 'rejected'])[number % 10 + 1] END AS state
        FROM (SELECT *, row_number() OVER (ORDER BY external_id) AS number FROM partners) AS partners
        CROSS JOIN unnest($1::int[]) WITH ORDINALITY AS made (period, place)
        WHERE NOT EXISTS (SELECT FROM bills WHERE partner_id = partners.id AND bills.period = made.period)
        """,
        list(periods),
        periods[-2],
        periods[-1],
    )
    await connection.execute(
        """
        INSERT INTO bills (id, number, partner_id, period, currency, state, digest, created_at, issued_at, content,
            net_minor, tax_minor, asked, issued_on, due_on, issue, seal, shown_state)
        SELECT stage.id, CASE WHEN issued THEN external_id || '-' || stage.period END, stage.partner_id, stage.period,
            currency, stage.state, digest, stage.created_at, CASE WHEN issued THEN stage.created_at END,
            replace(content, 'partner-0000', external_id), net_minor, tax_minor,
            CASE WHEN stage.state IN ('pending', 'approved') THEN ARRAY['any'] ELSE '{}' END,
            CASE WHEN issued THEN stage.created_at::date END, CASE WHEN issued THEN stage.due_on END,
            CASE WHEN issued THEN replace(issue, 'partner-0000', external_id) END, CASE WHEN issued THEN seal END,
            CASE WHEN paid THEN 'paid' ELSE stage.state END
        FROM stage CROSS JOIN bills AS model WHERE model.id = $1
        """,
        model,
    )
    await connection.execute(
        """
        INSERT INTO bill_actions (bill_id, position, at, who_kind, who_name, move, from_state, to_state, digest)
        SELECT stage.id, position, stage.created_at + position * interval '1 day', who_kind, who_name, move, from_state,
            to_state, digest
        FROM stage JOIN bill_actions AS model ON model.bill_id = $1 AND (issued OR position <= 1)
        """,
        model,
    )
    for statement in (_ENTRIES, _USES, _RESTS, "DROP TABLE stage", _CLOSED):
        await connection.execute(statement)
    await connection.execute("RESET session_replication_role")
    count: int = await connection.fetchval("SELECT count(*) FROM bills")
    return count


async def hold_some(connection: asyncpg.Connection) -> None:
    """Hold one action in 25 of the open months, which is one in a hundred of all."""
    await connection.execute(
        """
        WITH chosen AS (
            SELECT actions.id, partner_id, billing_period, product_id, outcome, value_minor
            FROM actions JOIN partners ON partners.id = partner_id
            WHERE billing_period > closed_through AND actions.id < '0a3d70a3-0000-0000-0000-000000000000'
                AND outcome IN ('billed', 'duplicate', 'capped')
        ), held AS (
            UPDATE actions SET standing = 'held', outcome = 'held', billed_minor = 0, standing_reason = 'Looked at'
            FROM chosen WHERE actions.id = chosen.id
        ), counted AS (
            SELECT partner_id, billing_period, product_id, count(*) AS actions, sum(value_minor) AS value_minor,
                count(*) FILTER (WHERE outcome = 'billed') AS billed,
                count(*) FILTER (WHERE outcome = 'duplicate') AS duplicate,
                count(*) FILTER (WHERE outcome = 'capped') AS capped,
                coalesce(sum(value_minor) FILTER (WHERE outcome = 'billed'), 0) AS billed_minor,
                coalesce(sum(value_minor) FILTER (WHERE outcome = 'duplicate'), 0) AS duplicate_savings_minor,
                coalesce(sum(value_minor) FILTER (WHERE outcome = 'capped'), 0) AS cap_savings_minor
            FROM chosen GROUP BY partner_id, billing_period, product_id
        )
        UPDATE product_periods AS of SET held = held + counted.actions, held_minor = held_minor + counted.value_minor,
            billed = of.billed - counted.billed, billed_minor = of.billed_minor - counted.billed_minor,
            duplicate = of.duplicate - counted.duplicate,
            duplicate_savings_minor = of.duplicate_savings_minor - counted.duplicate_savings_minor,
            capped = of.capped - counted.capped, cap_savings_minor = of.cap_savings_minor - counted.cap_savings_minor
        FROM counted
        WHERE of.partner_id = counted.partner_id AND of.period = billing_period
            AND of.product_id = counted.product_id
            AND of.slot = (
                SELECT min(slot) FROM product_periods AS any_of
                WHERE any_of.partner_id = counted.partner_id AND any_of.period = billing_period
                    AND any_of.product_id = counted.product_id
            )
        """
    )


async def ask_returns(connection: asyncpg.Connection, periods: tuple[int, ...]) -> None:
    """Ask for the return of one action in ten of issued months, and of every one of the first partner's."""
    await connection.execute(
        """
        INSERT INTO returns (action_id, partner_id, state, reason, asked_at, who_kind, who_name)
        SELECT id, partner_id, 'asked', 'invalid', occurred_at + interval '60 days', 'system', 'bench' FROM actions
        WHERE billing_period = ANY($1::int[]) AND (
            id < '19999999-0000-0000-0000-000000000000'
            OR partner_id = (SELECT id FROM partners ORDER BY external_id LIMIT 1)
        )
        """,
        list(periods),
    )


async def fill_run(connection: asyncpg.Connection, period: int) -> UUID:
    """A run that billed the period of all partners; returns its id."""
    run_id: UUID = await connection.fetchval(
        """
        INSERT INTO billing_runs (id, trigger, dry_run, period, who_kind, who_name, planned_at, completed_at)
        VALUES (gen_random_uuid(), 'api', false, $1, 'system', 'bench', clock_timestamp(), clock_timestamp())
        RETURNING id
        """,
        period,
    )
    await connection.execute(
        """
        INSERT INTO billing_run_items (id, run_id, partner_id, period, portion, actions, attempts, outcome, bill_id,
            bill_state, gross_minor, finished_at)
        SELECT gen_random_uuid(), $1, partner_id, period, 0, 100, 1, 'successful', id, 'draft', net_minor + tax_minor,
            clock_timestamp()
        FROM bills WHERE period = $2 AND corrects_id IS NULL
        """,
        run_id,
        period,
    )
    await connection.execute(
        """
        INSERT INTO billing_run_figures (run_id, outcome, currency, items, failing, gross_minor)
        SELECT run_id, outcome, currency, count(*), 0, sum(gross_minor)
        FROM billing_run_items JOIN partners ON partners.id = partner_id
        WHERE run_id = $1 GROUP BY run_id, outcome, currency
        """,
        run_id,
    )
    return run_id


_ENTRIES = """
INSERT INTO account_entries (id, partner_id, position, kind, amount_minor, booked_on, due_on, document, external_id,
    paid_on, bill_id, entered_at, who_kind, who_name)
SELECT stage.id, stage.partner_id, 1000 + 2 * place, 'bill', net_minor + tax_minor, issued_on, bills.due_on,
    bills.number, NULL, NULL, stage.id, stage.created_at, 'system', 'bench'
FROM stage JOIN bills ON bills.id = stage.id WHERE issued
UNION ALL
SELECT md5('payment ' || stage.id)::uuid, stage.partner_id, 1001 + 2 * place, 'payment', -(net_minor + tax_minor),
    issued_on + 20, issued_on + 20, 'payment', 'payment-' || stage.id, issued_on + 20, NULL,
    stage.created_at + interval '20 days', 'system', 'bench'
FROM stage JOIN bills ON bills.id = stage.id WHERE paid
"""

_USES = """
INSERT INTO account_uses (id, credit_id, charge_id, amount_minor, booked_on, entered_at)
SELECT md5('use ' || id)::uuid, md5('payment ' || id)::uuid, id, net_minor + tax_minor, issued_on + 20,
    stage.created_at + interval '20 days'
FROM stage JOIN bills USING (id) WHERE paid
"""

_RESTS = """
INSERT INTO account_rests (entry_id, partner_id, rest_minor)
SELECT id, stage.partner_id, CASE WHEN paid THEN 0 ELSE net_minor + tax_minor END FROM stage JOIN bills USING (id)
WHERE issued
UNION ALL
SELECT md5('payment ' || id)::uuid, partner_id, 0 FROM stage WHERE paid
"""

_CLOSED = "UPDATE partners SET closed_through = (SELECT max(period) FROM bills)"
