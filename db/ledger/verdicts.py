"""Writing what the evaluator decided: actions, winners and counters, in the caller's one transaction."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from uuid import UUID

import asyncpg

from billing.actions import WINNING, Action, Verdict
from billing.evaluate import NEVER_RELEASED
from billing.totals import TOTALS_COLUMNS, Totals, verdict_checksum
from db.ledger.judging import Case
from db.ledger.reading import Customer

COUNTER_SHARDS = 8
"""Workers count products in rows of their own, so that two of them never wait for one busy product's counter."""

CREDIT_SHARD = COUNTER_SHARDS
"""Credits are counted before verdicts, so in a row that no batch waits for while it holds others."""

CustomerPeriod = tuple[Customer, int]
"""((partner, customer), period)."""

ProductPeriod = tuple[UUID, int, UUID]
"""(partner, period, product)."""

_figures = attrgetter(*TOTALS_COLUMNS)

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
_WINNER_COLUMNS = [
    "partner_id",
    "customer_id",
    "duplicate_key",
    "slot",
    "released_from",
    "action_id",
    "billing_period",
    "own_period",
    "occurred_at",
]


async def write(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Write the verdict changes of customers that are locked; a customer judged by an older policy is now current."""
    await _write_actions(connection, cases)
    await _write_winners(connection, cases)
    await _count(connection, cases)
    outdated = [case for case in cases if case.judged_by != case.policy.version]
    if not outdated:
        return
    await connection.execute(
        """
        UPDATE customer_states SET policy_version = judged.version
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS judged (partner_id, customer_id, version)
        WHERE customer_states.partner_id = judged.partner_id AND customer_states.customer_id = judged.customer_id
        """,
        [case.customer[0] for case in outdated],
        [case.customer[1] for case in outdated],
        [case.policy.version for case in outdated],
    )


async def _write_actions(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
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


async def _write_winners(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    removed: list[Action] = []
    added = []
    for case in cases:
        if case.whole:
            continue
        for before, verdict in case.changes:
            was, wins = before is not None and before.outcome in WINNING, verdict.outcome in WINNING
            if was and not wins:
                removed.append(verdict.action)
            elif wins and not was:
                added.append(_winner_row(case, verdict.action))
    if removed:
        await connection.execute(
            "DELETE FROM winners WHERE duplicate_key = ANY($1::uuid[]) AND action_id = ANY($2::uuid[])",
            [action.key for action in removed],
            [action.id for action in removed],
        )
    added += await _clear_wrong_winners(connection, [case for case in cases if case.whole])
    if added:
        await connection.copy_records_to_table("winners", records=added, columns=_WINNER_COLUMNS)


async def _clear_wrong_winners(connection: asyncpg.Connection, cases: Sequence[Case]) -> list[tuple[object, ...]]:
    """Remove the winners in open periods of customers for whom they are not what was judged; returns the right ones."""
    if not cases:
        return []
    # By the column, and in the order of most verdicts, because a rebuild does this for nearly every action of a month.
    columns = _WINNER_COLUMNS[2:]
    rows = await connection.fetch(
        f"""
        SELECT partner_id, customer_id, {", ".join(f"array_agg({name})" for name in columns)}
        FROM (
            SELECT partner_id, customer_id, {", ".join(columns)}
            FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS judged (partner_id, customer_id, first)
            JOIN winners USING (partner_id, customer_id) WHERE billing_period >= first
            ORDER BY partner_id, customer_id, billing_period, occurred_at
        ) AS ordered GROUP BY partner_id, customer_id
        """,
        *_open_periods_of(cases),
    )
    stored = {(partner_id, customer_id): list(zip(*of, strict=True)) for partner_id, customer_id, *of in rows}
    right: list[tuple[object, ...]] = []
    wrong = []
    for case in cases:
        wanted = [_winner_row(case, v.action) for v in case.verdicts if v.outcome in WINNING]
        have, want = stored.get(case.customer, []), [row[2:] for row in wanted]
        if have != want and sorted(have) != sorted(want):
            wrong.append(case)
            right += wanted
    if wrong:
        await connection.execute(
            """
            DELETE FROM winners
            USING unnest($1::uuid[], $2::uuid[], $3::int[]) AS judged (partner_id, customer_id, first)
            WHERE winners.partner_id = judged.partner_id AND winners.customer_id = judged.customer_id
                AND winners.billing_period >= judged.first
            """,
            *_open_periods_of(wrong),
        )
    return right


def _open_periods_of(cases: Sequence[Case]) -> tuple[list[UUID], list[UUID], list[int]]:
    return (
        [case.customer[0] for case in cases],
        [case.customer[1] for case in cases],
        [case.policy.first_open for case in cases],
    )


async def _count(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Bring the counters of customers and products in line with the verdict changes."""
    known: set[CustomerPeriod] = set()
    by_customer: dict[CustomerPeriod, Totals] = defaultdict(Totals)
    last: dict[CustomerPeriod, datetime] = {}
    by_product: dict[ProductPeriod, Totals] = defaultdict(Totals)
    checksums: dict[ProductPeriod, int] = defaultdict(int)
    for case in cases:
        partner_id = case.customer[0]
        for verdict, sign in _signed(case):
            action = verdict.action
            value_minor, billed_minor = action.value_minor, verdict.billed_minor
            at = (case.customer, action.billing_period)
            by_customer[at].add(verdict.outcome, value_minor, billed_minor, sign)
            product = (partner_id, action.billing_period, action.product_id)
            by_product[product].add(verdict.outcome, value_minor, billed_minor, sign)
            checksums[product] += sign * verdict_checksum(verdict)
            if sign > 0 and (at not in last or last[at] < action.occurred_at):
                last[at] = action.occurred_at
        for (_, period, product_id), sign in _signed_leads(case) if case.changes else ():
            by_customer[case.customer, period].leads += sign
            by_product[partner_id, period, product_id].leads += sign
        for period in case.periods:
            known.add((case.customer, period))
            if case.whole and case.judged_by != case.policy.version and case.policy.is_open(period):
                by_customer.setdefault((case.customer, period), Totals())
    policy_versions = {case.customer: case.policy.version for case in cases}
    versions = {at: policy_versions[at[0]] for at in by_customer}
    await add_customer_totals(connection, by_customer, last, versions, known)
    await add_product_totals(connection, by_product, checksums)


def _signed(case: Case) -> Iterable[tuple[Verdict, int]]:
    for before, verdict in case.changes:
        if before is not None:
            yield before, -1
        yield verdict, 1


def _signed_leads(case: Case) -> Iterable[tuple[tuple[UUID, int, UUID], int]]:
    """(lead, billing period, product) triples that came or went."""
    recorded = {_lead_period(verdict.action) for verdict in case.recorded.values()}
    now = {_lead_period(verdict.action) for verdict in case.verdicts}
    for triple in now - recorded:
        if triple[:2] not in case.lead_periods:
            yield triple, 1
    for triple in recorded - now:
        yield triple, -1


def _lead_period(action: Action) -> tuple[UUID, int, UUID]:
    return action.lead_id, action.billing_period, action.product_id


async def add_customer_totals(
    connection: asyncpg.Connection,
    totals: dict[CustomerPeriod, Totals],
    last: dict[CustomerPeriod, datetime],
    versions: dict[CustomerPeriod, int],
    known: set[CustomerPeriod],
) -> None:
    """Add differences to the counters of customers; `known` tells which exist, the caller has them locked."""
    # A check would refuse a negative difference as a row of its own, so ON CONFLICT cannot be used here.
    existing = sorted(at for at in totals if at in known)
    if existing:
        added = ", ".join(f"{name} = customer_periods.{name} + added.{name}" for name in TOTALS_COLUMNS)
        await connection.execute(
            f"""
            UPDATE customer_periods SET {added}, policy_version = added.policy_version,
                last_occurred_at = greatest(customer_periods.last_occurred_at, added.last_occurred_at)
            FROM {_unnested("uuid", "uuid", "int", "timestamptz", "bigint")}
                AS added
                    (partner_id, customer_id, period, last_occurred_at, policy_version, {", ".join(TOTALS_COLUMNS)})
            WHERE customer_periods.partner_id = added.partner_id AND customer_periods.customer_id = added.customer_id
                AND customer_periods.period = added.period
            """,
            *_customer_columns(existing, totals, last, versions),
        )
    fresh = [at for at in totals if at not in known]
    if fresh:
        await connection.copy_records_to_table(
            "customer_periods",
            records=[(*at[0], at[1], last.get(at), versions[at], *_figures(totals[at])) for at in fresh],
            columns=["partner_id", "customer_id", "period", "last_occurred_at", "policy_version", *TOTALS_COLUMNS],
        )


async def add_product_totals(
    connection: asyncpg.Connection, totals: dict[ProductPeriod, Totals], checksums: dict[ProductPeriod, int]
) -> None:
    """Add differences to the counters of products."""
    if not totals:
        return
    ordered = sorted(totals)
    columns = [*TOTALS_COLUMNS, "checksum"]
    added = ", ".join(f"{name} = product_periods.{name} + excluded.{name}" for name in columns)
    await connection.execute(
        f"""
        INSERT INTO product_periods
            (partner_id, period, product_id, slot, checksum, {", ".join(TOTALS_COLUMNS)})
        SELECT * FROM {_unnested("uuid", "int", "uuid", "smallint", "numeric")}
        ON CONFLICT (partner_id, period, product_id, slot) DO UPDATE SET {added}
        """,
        [partner_id for partner_id, _, _ in ordered],
        [period for _, period, _ in ordered],
        [product_id for _, _, product_id in ordered],
        [os.getpid() % COUNTER_SHARDS] * len(ordered),
        [checksums.get(at, 0) for at in ordered],
        *_columns([totals[at] for at in ordered]),
    )


def _unnested(*types: str) -> str:
    """A FROM item over one array per column: the given types, then the totals."""
    arrays = [*types, *("bigint" for _ in TOTALS_COLUMNS)]
    return f"unnest({', '.join(f'${number}::{kind}[]' for number, kind in enumerate(arrays, start=1))})"


def _columns(totals: Sequence[Totals]) -> list[list[int]]:
    rows = [_figures(row) for row in totals]
    return [list(map(itemgetter(place), rows)) for place in range(len(TOTALS_COLUMNS))]


def _customer_columns(
    order: Sequence[CustomerPeriod],
    totals: dict[CustomerPeriod, Totals],
    last: dict[CustomerPeriod, datetime],
    versions: dict[CustomerPeriod, int],
) -> list[Sequence[object]]:
    return [
        [customer[0] for customer, _ in order],
        [customer[1] for customer, _ in order],
        [period for _, period in order],
        [last.get(at) for at in order],
        [versions[at] for at in order],
        *_columns([totals[at] for at in order]),
    ]


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


def _winner_row(case: Case, action: Action) -> tuple[object, ...]:
    window = case.policy.terms.at(action.billing_period).window
    return (
        *case.customer,
        action.key,
        window.bucket(action.occurred_at, action.own_period),
        NEVER_RELEASED,
        action.id,
        action.billing_period,
        action.own_period,
        action.occurred_at,
    )
