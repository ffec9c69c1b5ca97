"""Business metrics read from Postgres, so that every process reports the same."""

from dataclasses import dataclass

import asyncpg

from billing.actions import Outcome
from billing.runs import Outcome as RunOutcome
from db.telemetry import counters

_MONEY = {
    "gross": "gross_minor",
    "billed": "billed_minor",
    "credited": "credited_minor",
    "duplicate_savings": "duplicate_savings_minor",
    "cap_savings": "cap_savings_minor",
}


MOST_COUNTED = 100_000
"""Of what waits, of the quarantine and of the dead letters no more rows are counted: a reading costs the same."""


RUN_OUTCOMES = tuple(outcome.value for outcome in RunOutcome)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts since the beginning, and what is open now; money in minor units by (currency, kind)."""

    accepted: int
    leads: dict[str, int]
    actions: dict[str, int]
    money_minor: dict[tuple[str, str], int]
    waiting: int
    oldest_s: float
    paused_s: float
    swept_at_s: int
    quarantined: int
    dead_letters: int
    tasks: int
    task_failures: int
    violations: int
    proof_differences: int
    proof_oldest_s: float
    batches: int
    batch_us: int
    mails: dict[str, int]
    mails_oldest_s: float
    runs: int
    runs_failed: int
    run_us: int
    run_items: dict[str, int]
    run_dead_letters: int
    looked_at_s: float
    deliveries: dict[str, int]
    deliveries_waiting: int
    delivery_oldest_s: float
    webhooks_disabled: int


async def read(connection: asyncpg.Connection) -> Figures:
    """All figures in one snapshot."""
    counted = await counters.read(connection)
    names = [*(outcome.value for outcome in Outcome), *_MONEY.values()]
    totals = await connection.fetch(
        f"""
        SELECT currency, {", ".join(f"sum({name})::bigint AS {name}" for name in names)}
        FROM currency_totals GROUP BY currency HAVING sum(actions) <> 0
        """  # noqa: S608 - names of our own columns
    )
    waiting = await connection.fetchrow(
        """
        SELECT (
            SELECT coalesce(sum(lead_count), 0)::bigint
            FROM (SELECT lead_count FROM inbox WHERE done_at IS NULL ORDER BY lane, id LIMIT $1) AS first
        ) AS leads,
        greatest(coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0), 0)::float8 AS oldest_s
        FROM generate_series(0, 63) AS one (lane), LATERAL (  -- there are fewer partitions
            SELECT received_at FROM inbox WHERE done_at IS NULL AND inbox.lane = one.lane ORDER BY id LIMIT 1
        ) AS oldest
        """,
        MOST_COUNTED,
    )
    paused_s = await connection.fetchval(
        "SELECT extract(epoch FROM clock_timestamp() - paused_at)::float8 FROM pauses WHERE resumed_at IS NULL"
    )
    open_rows = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM (SELECT FROM quarantine WHERE resolved_at IS NULL LIMIT $1) AS o) AS quarantined,
               (SELECT count(*) FROM (SELECT FROM dead_letters WHERE resolved_at IS NULL LIMIT $1) AS o) AS dead,
               (SELECT count(*) FROM tasks WHERE finished_at IS NULL AND parent_id IS NULL) AS tasks,
               (
                   SELECT count(*) FROM billing_run_items AS items
                   WHERE outcome = 'failed' AND retried_at IS NULL
                       AND NOT (SELECT dry_run FROM billing_runs WHERE billing_runs.id = run_id)
                       AND NOT EXISTS (
                           SELECT FROM bills WHERE bills.partner_id = items.partner_id
                               AND bills.period = items.period AND corrects_id IS NULL
                               AND bills.state NOT IN ('void', 'cancelled')
                       )
               ) AS run_dead_letters,
               (SELECT extract(epoch FROM looked_at)::float8 FROM billing_scheduler) AS looked_at_s
        """,
        MOST_COUNTED,
    )
    proofs = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM proofs WHERE difference IS NOT NULL) AS differences,
               coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(since) FROM proofs)), 0)::float8 AS oldest_s
        """
    )
    assert proofs is not None
    unsent = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
            count(*) FILTER (WHERE state = 'given_up') AS given_up,
            coalesce(
                extract(epoch FROM clock_timestamp() - min(tried_since) FILTER (WHERE state = 'waiting')), 0
            )::float8 AS oldest_s
        FROM (
            (SELECT state, mail_id FROM mail_recipients WHERE state = 'waiting' LIMIT $1)
            UNION ALL (SELECT state, mail_id FROM mail_recipients WHERE state = 'given_up' LIMIT $1)
        ) AS unsent JOIN mails ON mails.id = mail_id
        """,
        MOST_COUNTED,
    )
    outgoing = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM webhooks WHERE disabled_at IS NOT NULL) AS disabled,
            (SELECT count(*) FROM (
                SELECT FROM deliveries JOIN webhooks ON webhooks.id = webhook_id
                WHERE state = 'waiting' AND disabled_at IS NULL LIMIT $1
            ) AS o) AS waiting,
            greatest(coalesce(extract(epoch FROM clock_timestamp() - (
                SELECT min(due.at) FROM webhooks, LATERAL (
                    SELECT min(next_attempt_at) AS at FROM deliveries
                    WHERE webhook_id = webhooks.id AND state = 'waiting'
                ) AS due WHERE disabled_at IS NULL
            )), 0), 0)::float8 AS oldest_s
        """,
        MOST_COUNTED,
    )
    assert outgoing is not None
    assert waiting is not None
    assert open_rows is not None
    assert unsent is not None
    states = ("new", "extended", "replayed", "quarantined", "dead")
    leads = {state: counted.get(f"leads_{state}", 0) for state in states}
    return Figures(
        # A dead letter that was retried is counted by its new state, so only open ones are added.
        accepted=sum(leads.values()) - leads["dead"] + open_rows["dead"] + waiting["leads"],
        leads=leads,
        actions={outcome.value: sum(row[outcome.value] for row in totals) for outcome in Outcome},
        money_minor={(row["currency"], kind): row[column] for row in totals for kind, column in _MONEY.items()},
        waiting=waiting["leads"],
        oldest_s=waiting["oldest_s"],
        paused_s=paused_s or 0.0,
        swept_at_s=counted.get("swept_at_s", 0),
        quarantined=open_rows["quarantined"],
        dead_letters=open_rows["dead"],
        tasks=open_rows["tasks"],
        task_failures=counted.get("task_failures", 0),
        violations=counted.get("invariant_violations", 0),
        proof_differences=proofs["differences"],
        proof_oldest_s=proofs["oldest_s"],
        batches=counted.get("batches", 0),
        batch_us=counted.get("batch_us", 0),
        mails={
            "sent": counted.get("mails_sent", 0),
            "bounced": counted.get("mails_bounced", 0),
            "waiting": unsent["waiting"],
            "given_up": unsent["given_up"],
        },
        mails_oldest_s=unsent["oldest_s"],
        runs=counted.get("runs", 0),
        runs_failed=counted.get("runs_failed", 0),
        run_us=counted.get("run_us", 0),
        run_items={name: counted.get(f"run_items_{name}", 0) for name in RUN_OUTCOMES},
        run_dead_letters=open_rows["run_dead_letters"],
        looked_at_s=open_rows["looked_at_s"] or 0.0,
        deliveries={state: counted.get(f"deliveries_{state}", 0) for state in ("delivered", "failed")},
        deliveries_waiting=outgoing["waiting"],
        delivery_oldest_s=outgoing["oldest_s"],
        webhooks_disabled=outgoing["disabled"],
    )
