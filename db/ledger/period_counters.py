"""The counters of customers and of products in each billing period: totals kept beside the verdicts (R9)."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from uuid import UUID

import asyncpg

from billing.affected_range import PeriodCounters
from billing.totals import TOTALS_COLUMNS, Totals
from db.ledger.case import Customer

COUNTER_SHARDS = 8
"""A product has so many counters per period, so that two workers rarely wait for the same row."""

CREDIT_SHARD = COUNTER_SHARDS
"""Credits have a shard of their own: they are counted before verdicts, and a batch would wait for the row."""

CustomerPeriod = tuple[Customer, int]
"""((partner, customer), period)."""

ProductPeriod = tuple[UUID, int, UUID]
"""(partner, period, product)."""

_figures = attrgetter(*TOTALS_COLUMNS)


async def read(
    connection: asyncpg.Connection, customers: Iterable[tuple[Customer, int]]
) -> dict[Customer, dict[int, PeriodCounters]]:
    """The counters of customers by billing period, each given as ((partner, customer), first billing period)."""
    wanted = list(customers)
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, period, billed_minor, cap_savings_minor, credited_minor,
               billed + partly_billed AS billed_winners, billed + partly_billed + capped AS winners, last_occurred_at
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS wanted (partner_id, customer_id, first)
        JOIN customer_periods USING (partner_id, customer_id)
        WHERE period >= first
        """,
        [customer[0] for customer, _ in wanted],
        [customer[1] for customer, _ in wanted],
        [first for _, first in wanted],
    )
    result: dict[Customer, dict[int, PeriodCounters]] = defaultdict(dict)
    for row in rows:
        result[row["partner_id"], row["customer_id"]][row["period"]] = PeriodCounters(
            billed_minor=row["billed_minor"],
            cap_savings_minor=row["cap_savings_minor"],
            credited_minor=row["credited_minor"],
            billed_winners=row["billed_winners"],
            winners=row["winners"],
            last_occurred_at=row["last_occurred_at"],
        )
    return result


async def add_customer_totals(
    connection: asyncpg.Connection,
    totals: dict[CustomerPeriod, Totals],
    last: dict[CustomerPeriod, datetime],
    versions: dict[CustomerPeriod, int],
    known: set[CustomerPeriod],
) -> None:
    """Add differences to the counters of customers; `known` are those that exist, and the caller has locked them."""
    # No ON CONFLICT here: a check constraint refuses a negative difference as a row of its own.
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
            """,  # noqa: S608 - names of our own columns
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
        """,  # noqa: S608 - names of our own columns
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
