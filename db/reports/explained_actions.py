"""Actions with everything that was decided about them and why (R15)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from billing.actions import Outcome
from billing.explain import Credit, Decision, Explained, explain, reason_text
from billing.terms import Terms, TermsHistory
from db.ledger import corrected, period_counters, reading, winners
from db.ledger.policies import terms_from_row

_CONDITIONS = ("partner", "product", "lead_type", "action_type", "engagement_level")


@dataclass(frozen=True, slots=True)
class LineCustomer:
    """The customer of a line, as a report names them."""

    external_id: str
    email: str


@dataclass(frozen=True, slots=True)
class LineProduct:
    """The product of a line."""

    external_id: str
    name: str


class Line(NamedTuple):
    """One action with its verdict, explained; amounts in minor units of `currency`.

    A named tuple, because a report makes up to a million of them and a frozen dataclass takes three times as long.
    """

    explained: Explained
    lead: str
    """The lead's id as it was sent."""
    lead_type: str
    customer: LineCustomer
    product: LineProduct
    rule: str
    """What the rate rule names: "Email Campaign · Click · High"."""
    currency: str
    terms: Terms
    card_version: int
    credit: Credit | None
    decision: Decision

    @property
    def reason(self) -> str:
        """Why the action was or was not billed, in one sentence."""
        return reason_text(self.explained, self.terms, self.currency, self.rule, self.decision, self.credit)


async def lines_of_customers(
    connection: asyncpg.Connection, partner_id: UUID, period: int, customer_ids: Sequence[UUID]
) -> list[Line]:
    """All actions of some customers in one billing period, explained, by customer and evaluation order."""
    # What many actions share is read once, not joined to each of them: a report has up to a million.
    rows = await connection.fetch(
        """
        SELECT actions.*, leads.external_id AS lead, leads.lead_type,
               credits.amount_minor AS credited_minor, credits.period AS credit_period, credits.reason AS credit_reason
        FROM actions JOIN leads ON leads.id = actions.lead_id LEFT JOIN credits ON credits.action_id = actions.id
        WHERE actions.partner_id = $1 AND actions.billing_period = $2 AND actions.customer_id = ANY($3::uuid[])
        """,
        partner_id,
        period,
        list(customer_ids),
    )
    if not rows:
        return []
    terms, currency = await _terms(connection, partner_id)
    in_force = terms.at(period)
    rules = await _rules(connection, {row["rate_rule_id"] for row in rows})
    customers = await _customers(connection, customer_ids)
    products = await _products(connection, {row["product_id"] for row in rows})
    duplicates = {row["duplicate_key"] for row in rows if row["outcome"] == Outcome.DUPLICATE}
    holders = await winners.by_key(connection, duplicates) if duplicates else {}
    periods = await period_counters.read(connection, [((partner_id, customer), 0) for customer in customer_ids])
    versions = await _card_versions(connection, partner_id, period, customer_ids)
    corrected_by = dict(await corrected.of_customers(connection, partner_id, customer_ids))
    corrects = {right_id: wrong_id for wrong_id, right_id in corrected_by.items()}
    by_customer: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        by_customer[row["customer_id"]].append(row)
    lines = []
    for customer_id in customer_ids:
        records = periods.get((partner_id, customer_id), {})
        used_before = sum(r.billed_minor for p, r in records.items() if p < period)
        used_before -= sum(r.credited_minor for p, r in records.items() if p <= period)
        by_action = {row["id"]: row for row in by_customer[customer_id]}
        verdicts = [reading.verdict_from_row(row) for row in by_action.values()]
        for explained in explain(verdicts, holders, in_force, used_before):
            action = explained.verdict.action
            row = by_action[action.id]
            lines.append(
                Line(
                    explained,
                    row["lead"],
                    row["lead_type"],
                    customers[customer_id],
                    products[action.product_id],
                    rules[action.rate_rule_id],
                    currency,
                    in_force,
                    versions[customer_id],
                    Credit(row["credited_minor"], row["credit_period"]) if row["credit_period"] else None,
                    Decision(
                        row["credit_reason"] or row["standing_reason"],
                        corrects.get(action.id),
                        corrected_by.get(action.id),
                    ),
                )
            )
    return lines


async def action_line(connection: asyncpg.Connection, action_id: UUID) -> Line | None:
    """One action, explained; None if it is not on record."""
    row = await connection.fetchrow(
        "SELECT partner_id, billing_period, customer_id FROM actions WHERE id = $1", action_id
    )
    if row is None:
        return None
    lines = await lines_of_customers(connection, row["partner_id"], row["billing_period"], [row["customer_id"]])
    return next(line for line in lines if line.explained.verdict.action.id == action_id)


async def _terms(connection: asyncpg.Connection, partner_id: UUID) -> tuple[TermsHistory, str]:
    rows = await connection.fetch(
        "SELECT * FROM partner_terms JOIN partners ON partners.id = partner_id WHERE partner_id = $1", partner_id
    )
    return TermsHistory((row["from_period"], terms_from_row(row)) for row in rows), rows[0]["currency"]


async def _rules(connection: asyncpg.Connection, ids: Iterable[int]) -> dict[int, str]:
    """What each rate rule names, by its id."""
    rows = await connection.fetch(
        """
        SELECT rates.*, partners.external_id AS partner, products.external_id AS product
        FROM rates LEFT JOIN partners ON partners.id = rates.partner_id
        LEFT JOIN products ON products.id = rates.product_id
        WHERE rates.id = ANY($1::bigint[])
        """,
        list(ids),
    )
    return {
        row["id"]: " · ".join(row[name] for name in _CONDITIONS if row[name] is not None) or "everything"
        for row in rows
    }


async def _customers(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, LineCustomer]:
    rows = await connection.fetch("SELECT id, external_id, email FROM customers WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: LineCustomer(row["external_id"], row["email"]) for row in rows}


async def _products(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, LineProduct]:
    rows = await connection.fetch("SELECT id, external_id, name FROM products WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: LineProduct(row["external_id"], row["name"]) for row in rows}


async def _card_versions(
    connection: asyncpg.Connection, partner_id: UUID, period: int, customer_ids: Sequence[UUID]
) -> dict[UUID, int]:
    rows = await connection.fetch(
        """
        SELECT customer_id, policy_version FROM customer_periods
        WHERE partner_id = $1 AND period = $2 AND customer_id = ANY($3::uuid[])
        """,
        partner_id,
        period,
        list(customer_ids),
    )
    return {row["customer_id"]: row["policy_version"] for row in rows}
