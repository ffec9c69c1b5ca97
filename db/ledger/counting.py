"""Counting verdict changes: by how much each counter of customers and of products moves."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.actions import Action, Verdict
from billing.totals import Totals, verdict_checksum
from db.ledger.case import Case
from db.ledger.period_counters import CustomerPeriod, ProductPeriod, add_customer_totals, add_product_totals


async def count(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Add verdict changes to the counters of customers and products."""
    known: set[CustomerPeriod] = set()
    by_customer: dict[CustomerPeriod, Totals] = defaultdict(Totals)
    last: dict[CustomerPeriod, datetime] = {}
    by_product: dict[ProductPeriod, Totals] = defaultdict(Totals)
    checksums: dict[ProductPeriod, int] = defaultdict(int)
    for case in cases:
        partner_id = case.customer[0]
        for verdict, sign in _verdict_changes(case):
            action = verdict.action
            value_minor, billed_minor = action.value_minor, verdict.billed_minor
            at = (case.customer, action.billing_period)
            by_customer[at].add(verdict.outcome, value_minor, billed_minor, sign)
            product = (partner_id, action.billing_period, action.product_id)
            by_product[product].add(verdict.outcome, value_minor, billed_minor, sign)
            checksums[product] += sign * verdict_checksum(verdict)
            if sign > 0 and (at not in last or last[at] < action.occurred_at):
                last[at] = action.occurred_at
        for (_, period, product_id), sign in _lead_changes(case) if case.changes else ():
            by_customer[case.customer, period].leads += sign
            by_product[partner_id, period, product_id].leads += sign
        for period in case.counters:
            known.add((case.customer, period))
            if case.ends_stale and case.policy.is_open(period):
                by_customer.setdefault((case.customer, period), Totals())
    policy_versions = {case.customer: case.policy.version for case in cases}
    versions = {at: policy_versions[at[0]] for at in by_customer}
    await add_customer_totals(connection, by_customer, last, versions, known)
    await add_product_totals(connection, by_product, checksums)


def _verdict_changes(case: Case) -> Iterable[tuple[Verdict, int]]:
    """Verdicts to count in (1) and out (-1)."""
    for before, verdict in case.changes:
        if before is not None:
            yield before, -1
        yield verdict, 1


def _lead_changes(case: Case) -> Iterable[tuple[tuple[UUID, int, UUID], int]]:
    """Leads that now have actions in a billing period (1), or no longer do (-1): (lead, billing period, product)."""
    recorded = {_lead_period(verdict.action) for verdict in case.recorded.values()}
    now = {_lead_period(verdict.action) for verdict in case.verdicts}
    for triple in now - recorded:
        if triple[:2] not in case.lead_periods:
            yield triple, 1
    for triple in recorded - now:
        yield triple, -1


def _lead_period(action: Action) -> tuple[UUID, int, UUID]:
    return action.lead_id, action.billing_period, action.product_id
