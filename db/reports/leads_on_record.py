"""Leads on record with their totals: one with all its actions, explained, or a page of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.actions import Outcome
from billing.texts import text_key
from billing.totals import Totals
from db.reports.explained_actions import Line, lines_of_lead

MOST_LEADS_SEARCHED = 10_000


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead with the names of what it refers to."""

    id: UUID
    external_id: str
    source: str
    partner: str
    currency: str
    product: str
    customer_id: UUID
    customer: str
    customer_name: str
    customer_email: str
    lead_type: str
    created_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class LeadView:
    """A lead with its totals and its explained actions in evaluation order."""

    lead: LeadRow
    totals: Totals
    lines: list[Line]

    @property
    def credited_minor(self) -> int:
        """What is credited for its actions, in whichever period."""
        return sum(line.credit.amount_minor for line in self.lines if line.credit)


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads a page shows; None is any. The date range is half open and means the lead's creation."""

    customer_id: UUID | None = None
    partner_id: UUID | None = None
    product_id: UUID | None = None
    lead_type: str | None = None
    outcome: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Leads with their totals and what is credited for them, newest first.

    `next` is the place where the next page begins; None if there is none.
    """

    leads: list[tuple[LeadRow, Totals, int]]
    next: tuple[datetime, UUID] | None


async def view(connection: asyncpg.Connection, lead_id: UUID) -> LeadView | None:
    """A lead with its actions; None if it is not on record (it may still wait or be in quarantine)."""
    row = (await rows(connection, [lead_id])).get(lead_id)
    return view_from_lines(row, await lines_of_lead(connection, lead_id)) if row else None


async def rows(connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> dict[UUID, LeadRow]:
    """The leads that are on record among these, by id."""
    found = await connection.fetch(f"{_named_leads('leads')} WHERE leads.id = ANY($1::uuid[])", lead_ids)
    return {row["id"]: _lead_from_row(row) for row in found}


def view_from_lines(lead: LeadRow, lines: list[Line]) -> LeadView:
    """A lead with its explained actions, added up."""
    totals = Totals(leads=1)
    for line in lines:
        verdict = line.explained.verdict
        totals.add(verdict.outcome, verdict.action.value_minor, verdict.billed_minor)
    return LeadView(lead, totals, lines)


async def page(
    connection: asyncpg.Connection, only: LeadFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> LeadPage:
    """Leads before the place `before`.

    Conditions without an index (product, lead type, outcome) are checked on `MOST_LEADS_SEARCHED` leads at most, so a
    page can hold fewer leads than `limit`, even none, and still have a next one.
    """
    arguments: list[object] = []
    indexed, filtered = ["true"], ["true"]

    def condition(where: list[str], text: str, *values: object) -> None:
        if all(value is not None for value in values):
            numbers = range(len(arguments) + 1, len(arguments) + len(values) + 1)
            arguments.extend(values)
            where.append(text.format(*(f"${number}" for number in numbers)))

    condition(indexed, "customer_id = {}", only.customer_id)
    condition(indexed, "partner_id = {}", only.partner_id)
    condition(indexed, "created_at >= {}", only.start)
    condition(indexed, "created_at < {}", only.end)
    condition(indexed, "(created_at, id) < ({}, {})", *(before or (None, None)))
    searched = f"SELECT * FROM leads WHERE {' AND '.join(indexed)} ORDER BY created_at DESC, id DESC"  # noqa: S608 - conditions of this function; values are parameters
    indexed_arguments = tuple(arguments)
    condition(filtered, "leads.product_id = {}", only.product_id)
    if only.lead_type is not None:
        first = f"{searched} LIMIT {MOST_LEADS_SEARCHED:d}"
        spellings = await _spellings(connection, only.lead_type, first, indexed_arguments)
        condition(filtered, "leads.lead_type = ANY({}::text[])", spellings)
    condition(
        filtered, "EXISTS (SELECT FROM actions WHERE actions.lead_id = leads.id AND outcome::text = {})", only.outcome
    )
    is_filtered = len(filtered) > 1
    rows = await connection.fetch(
        f"""
        {_named_leads(f"({searched} LIMIT {MOST_LEADS_SEARCHED if is_filtered else limit:d})")}
        WHERE {" AND ".join(filtered)} ORDER BY leads.created_at DESC, leads.id DESC LIMIT {limit:d}
        """,
        *arguments,
    )
    last = rows[-1] if len(rows) == limit else None
    if last is None and is_filtered:
        last = await connection.fetchrow(f"{searched} OFFSET {MOST_LEADS_SEARCHED - 1:d} LIMIT 1", *indexed_arguments)
    totals = await _totals_of_leads(connection, [row["id"] for row in rows])
    return LeadPage(
        leads=[(_lead_from_row(row), *totals[row["id"]]) for row in rows],
        next=(last["created_at"], last["id"]) if last else None,
    )


async def _spellings(
    connection: asyncpg.Connection, lead_type: str, searched: str, arguments: Sequence[object]
) -> list[str]:
    """The spellings of a lead type among the leads searched. SQL folds otherwise than R1, so it cannot compare them."""
    rows = await connection.fetch(f"SELECT DISTINCT lead_type FROM ({searched}) AS leads", *arguments)  # noqa: S608 - a query of this module
    return [row["lead_type"] for row in rows if text_key(row["lead_type"]) == text_key(lead_type)]


async def _totals_of_leads(connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> dict[UUID, tuple[Totals, int]]:
    """The totals of each lead, and what is credited for its actions."""
    totals = {lead_id: Totals(leads=1) for lead_id in lead_ids}
    credited_minor = dict.fromkeys(lead_ids, 0)
    for action in await connection.fetch(
        """
        SELECT lead_id, outcome, value_minor, billed_minor, coalesce(amount_minor, 0) AS credited_minor
        FROM actions LEFT JOIN credits ON credits.action_id = actions.id WHERE lead_id = ANY($1::uuid[])
        """,
        lead_ids,
    ):
        totals[action["lead_id"]].add(Outcome(action["outcome"]), action["value_minor"], action["billed_minor"])
        credited_minor[action["lead_id"]] += action["credited_minor"]
    return {lead_id: (totals[lead_id], credited_minor[lead_id]) for lead_id in totals}


def _named_leads(source: str) -> str:
    """A query of leads with the names of what they refer to."""
    return f"""
        SELECT leads.*, partners.external_id AS partner, partners.currency, products.external_id AS product,
               customers.external_id AS customer, customers.name, customers.email
        FROM {source} AS leads JOIN partners ON partners.id = leads.partner_id
        JOIN products ON products.id = leads.product_id JOIN customers ON customers.id = leads.customer_id
    """  # noqa: S608 - a query of this module


def _lead_from_row(row: asyncpg.Record) -> LeadRow:
    return LeadRow(
        id=row["id"],
        external_id=row["external_id"],
        source=row["source"],
        partner=row["partner"],
        currency=row["currency"],
        product=row["product"],
        customer_id=row["customer_id"],
        customer=row["customer"],
        customer_name=row["name"],
        customer_email=row["email"],
        lead_type=row["lead_type"],
        created_at=row["created_at"],
        received_at=row["received_at"],
    )
