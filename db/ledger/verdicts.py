"""Writing what the evaluator decided: actions, winners and counters, in the caller's one transaction."""

from collections.abc import Iterable, Sequence

import asyncpg

from billing.actions import Verdict
from db.ledger import counting, winners
from db.ledger.case import Case, Customer

_ACTION_COLUMNS = [
    "id",
    "lead_id",
    "partner_id",
    "customer_id",
    "product_id",
    "action_type",
    "engagement_level",
    "occurred_at",
    "occurrence",
    "duplicate_key",
    "own_period",
    "billing_period",
    "rate_rule_id",
    "value_minor",
    "billed_minor",
    "standing",
    "outcome",
]


async def write(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Write the verdict changes of locked customers, and which of them are judged by the present policy now."""
    await write_actions(connection, cases)
    await winners.write(connection, cases)
    await counting.count(connection, cases)
    judged = [case for case in cases if case.ends_stale]
    if not judged:
        return
    await connection.execute(
        """
        UPDATE customer_states SET policy_version = judged.version
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS judged (partner_id, customer_id, version)
        WHERE customer_states.partner_id = judged.partner_id AND customer_states.customer_id = judged.customer_id
        """,
        [case.customer[0] for case in judged],
        [case.customer[1] for case in judged],
        [case.policy.version for case in judged],
    )


async def write_actions(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
    """Store new actions with their verdicts, and the verdicts of stored ones that changed."""
    new, changed = [], []
    for case in cases:
        for before, verdict in case.changes:
            if before is None:
                new.append(_action_row(case.customer, verdict))
            else:
                changed.append(verdict)
    if changed:
        await connection.execute(
            """
            UPDATE actions SET own_period = judged.own_period, billing_period = judged.billing_period,
                rate_rule_id = judged.rate_rule_id, value_minor = judged.value_minor,
                billed_minor = judged.billed_minor, outcome = judged.outcome
            FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::outcome[])
                AS judged (id, own_period, billing_period, rate_rule_id, value_minor, billed_minor, outcome)
            WHERE actions.id = judged.id
            """,
            [verdict.action.id for verdict in changed],
            [verdict.action.own_period for verdict in changed],
            [verdict.action.billing_period for verdict in changed],
            [verdict.action.rate_rule_id for verdict in changed],
            [verdict.action.value_minor for verdict in changed],
            [verdict.billed_minor for verdict in changed],
            [verdict.outcome for verdict in changed],
        )
    if new:
        await connection.copy_records_to_table("actions", records=new, columns=_ACTION_COLUMNS)


def _action_row(customer: Customer, verdict: Verdict) -> tuple[object, ...]:
    action = verdict.action
    return (
        action.id,
        action.lead_id,
        customer[0],
        customer[1],
        action.product_id,
        action.action_type,
        action.engagement_level,
        action.occurred_at,
        action.occurrence,
        action.key,
        action.own_period,
        action.billing_period,
        action.rate_rule_id,
        action.value_minor,
        verdict.billed_minor,
        action.hold_status,
        verdict.outcome,
    )
