"""Reading leads with everything that was decided about them and why (R15). Nothing here writes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.actions import Outcome
from billing.explain import Credit, Explained, explain, sentence
from billing.terms import Terms, TermsHistory
from billing.totals import Totals
from db.ledger import reading
from db.ledger.policies import terms_from_row

_CONDITIONS = ("partner", "product", "lead_type", "action_type", "engagement_level")


@dataclass(slots=True)
class Line:
    """One action with its verdict, explained; amounts in minor units of `currency`."""

    explained: Explained
    row: asyncpg.Record
    """The action's row with its lead's type and id as sent, and the credit for it."""
    customer: asyncpg.Record
    product: asyncpg.Record
    rule: str
    """What the rate rule names: "Email Campaign · Click · High"."""
    currency: str
    terms: Terms
    card_version: int
    credit: Credit | None

    @property
    def reason(self) -> str:
        """Why the action was or was not billed, in one sentence."""
        return sentence(
            self.explained,
            self.terms,
            self.currency,
            self.rule,
            self.row["credit_reason"] or self.row["standing_reason"],
            self.credit,
        )


async def lines_of_customers(
    connection: asyncpg.Connection, partner_id: UUID, period: int, customer_ids: Sequence[UUID]
) -> list[Line]:
    """All actions of some customers in one billing period, explained, by customer and evaluation order."""
    # What is the same for many actions is read once, not with each of them: a report has up to a million.
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
    customers = await _by_id(connection, "SELECT id, external_id, email FROM customers", customer_ids)
    products = await _by_id(
        connection, "SELECT id, external_id, name FROM products", {row["product_id"] for row in rows}
    )
    duplicates = {row["duplicate_key"] for row in rows if row["outcome"] == Outcome.DUPLICATE}
    winners = await reading.winners_of(connection, duplicates) if duplicates else {}
    periods = await reading.periods_of(connection, [((partner_id, customer), 0) for customer in customer_ids])
    versions = await _card_versions(connection, partner_id, period, customer_ids)
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
        for explained in explain(verdicts, winners, in_force, used_before):
            action = explained.verdict.action
            row = by_action[action.id]
            lines.append(
                Line(
                    explained,
                    row,
                    customers[customer_id],
                    products[action.product_id],
                    rules[action.rate_rule_id],
                    currency,
                    in_force,
                    versions[customer_id],
                    Credit(row["credited_minor"], row["credit_period"]) if row["credit_period"] else None,
                )
            )
    return lines


@dataclass(slots=True)
class LeadView:
    """A lead on record with its explained actions in evaluation order."""

    row: asyncpg.Record
    currency: str
    totals: Totals
    lines: list[Line]


async def view(connection: asyncpg.Connection, lead_id: UUID) -> LeadView | None:
    """A lead with its actions; None if it is not on record (it may still wait or be in quarantine)."""
    row = await connection.fetchrow(f"{_leads_among('leads')} WHERE leads.id = $1", lead_id)
    if row is None:
        return None
    periods = await connection.fetch(
        "SELECT DISTINCT billing_period FROM actions WHERE lead_id = $1 ORDER BY 1", lead_id
    )
    lines = [
        line
        for (period,) in periods
        for line in await lines_of_customers(connection, row["partner_id"], period, [row["customer_id"]])
        if line.row["lead_id"] == lead_id
    ]
    totals = Totals(leads=1)
    for line in lines:
        verdict = line.explained.verdict
        totals.add(verdict.outcome, verdict.action.value_minor, verdict.billed_minor)
    return LeadView(row, row["currency"], totals, lines)


async def action_line(connection: asyncpg.Connection, action_id: UUID) -> Line | None:
    """One action, explained."""
    row = await connection.fetchrow(
        "SELECT partner_id, billing_period, customer_id FROM actions WHERE id = $1", action_id
    )
    if row is None:
        return None
    lines = await lines_of_customers(connection, row["partner_id"], row["billing_period"], [row["customer_id"]])
    return next(line for line in lines if line.row["id"] == action_id)


_LOOKED_AT = 10_000


def _leads_among(source: str) -> str:
    """A query of leads with the names of what they refer to."""
    return f"""
        SELECT leads.*, partners.external_id AS partner, partners.currency, products.external_id AS product,
               customers.external_id AS customer, customers.name, customers.email
        FROM {source} AS leads JOIN partners ON partners.id = leads.partner_id
        JOIN products ON products.id = leads.product_id JOIN customers ON customers.id = leads.customer_id
    """


@dataclass(slots=True)
class LeadFilter:
    """Which leads a page shows; None is any. The date range is half open and means the lead's creation."""

    customer_id: UUID | None = None
    partner_id: UUID | None = None
    product_id: UUID | None = None
    lead_type: str | None = None
    outcome: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(slots=True)
class LeadPage:
    """Leads with their totals, newest first, and the place from which to go on; None if that is all."""

    leads: list[tuple[asyncpg.Record, Totals]]
    next: tuple[datetime, UUID] | None


async def page(
    connection: asyncpg.Connection, only: LeadFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> LeadPage:
    """Leads from the one before `before` on.

    What no index tells (product, lead type, outcome) is looked for among `_LOOKED_AT` leads at most, so a page can hold
    fewer leads than `limit`, even none, and yet have others after it.
    """
    arguments: list[object] = []
    placed, sifted = ["true"], ["true"]

    def condition(where: list[str], text: str, *values: object) -> None:
        if all(value is not None for value in values):
            numbers = range(len(arguments) + 1, len(arguments) + len(values) + 1)
            arguments.extend(values)
            where.append(text.format(*(f"${number}" for number in numbers)))

    condition(placed, "customer_id = {}", only.customer_id)
    condition(placed, "partner_id = {}", only.partner_id)
    condition(placed, "created_at >= {}", only.start)
    condition(placed, "created_at < {}", only.end)
    condition(placed, "(created_at, id) < ({}, {})", *(before or (None, None)))
    looked_at = f"SELECT * FROM leads WHERE {' AND '.join(placed)} ORDER BY created_at DESC, id DESC"
    of_places = tuple(arguments)
    condition(sifted, "leads.product_id = {}", only.product_id)
    condition(sifted, "lower(leads.lead_type) = lower({})", only.lead_type)
    condition(
        sifted, "EXISTS (SELECT FROM actions WHERE actions.lead_id = leads.id AND outcome::text = {})", only.outcome
    )
    is_sifted = len(sifted) > 1
    rows = await connection.fetch(
        f"""
        {_leads_among(f"({looked_at} LIMIT {_LOOKED_AT if is_sifted else limit:d})")}
        WHERE {" AND ".join(sifted)} ORDER BY leads.created_at DESC, leads.id DESC LIMIT {limit:d}
        """,
        *arguments,
    )
    last = rows[-1] if len(rows) == limit else None
    if last is None and is_sifted:
        last = await connection.fetchrow(f"{looked_at} OFFSET {_LOOKED_AT - 1:d} LIMIT 1", *of_places)
    totals = {row["id"]: Totals(leads=1) for row in rows}
    for action in await connection.fetch(
        "SELECT lead_id, outcome, value_minor, billed_minor FROM actions WHERE lead_id = ANY($1::uuid[])", list(totals)
    ):
        totals[action["lead_id"]].add(Outcome(action["outcome"]), action["value_minor"], action["billed_minor"])
    return LeadPage([(row, totals[row["id"]]) for row in rows], (last["created_at"], last["id"]) if last else None)


async def _terms(connection: asyncpg.Connection, partner_id: UUID) -> tuple[TermsHistory, str]:
    rows = await connection.fetch(
        "SELECT * FROM partner_terms JOIN partners ON partners.id = partner_id WHERE partner_id = $1", partner_id
    )
    return TermsHistory((row["from_period"], terms_from_row(row)) for row in rows), rows[0]["currency"]


async def _rules(connection: asyncpg.Connection, ids: Iterable[int]) -> dict[int, str]:
    """Rate rules by what they name."""
    rows = await connection.fetch(
        """
        SELECT rate_rules.*, partners.external_id AS partner, products.external_id AS product
        FROM rate_rules LEFT JOIN partners ON partners.id = rate_rules.partner_id
        LEFT JOIN products ON products.id = rate_rules.product_id
        WHERE rate_rules.id = ANY($1::bigint[])
        """,
        list(ids),
    )
    return {
        row["id"]: " · ".join(row[name] for name in _CONDITIONS if row[name] is not None) or "everything"
        for row in rows
    }


async def _by_id(connection: asyncpg.Connection, select: str, ids: Iterable[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await connection.fetch(f"{select} WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row for row in rows}


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
