"""Leads on record with their totals: one with all its actions, explained, or a page of many."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from billing.texts import text_key
from billing.totals import Totals
from db.core.totals_rows import COUNTED_TOTALS, totals_from_row
from db.masters import products
from db.masters.carried_ids import first_carried
from db.masters.partners import LATEST_ZONE
from db.reports.explained_actions import Line, lines_of_lead

MOST_LEADS_SEARCHED = 2_000
"""By a page of leads, whatever it filters by: what it reads does not grow with what is stored."""
_RECENT_LEADS = 1_000
_MOST_SOURCES = 50

_LOWEST_ID = UUID(int=0)
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = (datetime.max.replace(tzinfo=UTC), _LOWEST_ID)


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead with the names of what it refers to."""

    id: UUID
    external_id: str
    source: str
    partner: str
    partner_name: str
    currency: str
    timezone: str
    product: str
    product_name: str
    customer: str
    customer_name: str
    customer_email: str
    lead_type: str
    created_at: datetime
    received_at: datetime


class LeadOrder(StrEnum):
    """By which of its times a lead is newest."""

    CREATED = "created_at"
    RECEIVED = "received_at"


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
    """Which leads a page shows; None is any. The date range is half open and means the lead's creation.

    What is asked of actions (type, level, outcome, billing period) one action of the lead has all of.
    """

    customer_id: UUID | None = None
    partner_id: UUID | None = None
    product_id: UUID | None = None
    source: str | None = None
    lead_type: str | None = None
    action_type: str | None = None
    engagement_level: str | None = None
    outcome: str | None = None
    period: int | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Leads with their totals and what is credited for them, newest first.

    `next` is the place where the next page begins; None if there is none.
    """

    leads: list[tuple[LeadRow, Totals, int]]
    next: tuple[datetime, UUID] | None


async def view(connection: asyncpg.Connection, lead_id: UUID, *, people: bool = True) -> LeadView | None:
    """A lead with its actions; None if it is not on record (it may still wait or be in quarantine)."""
    row = (await rows(connection, [lead_id], people=people)).get(lead_id)
    return view_from_lines(row, await lines_of_lead(connection, lead_id)) if row else None


async def rows(connection: asyncpg.Connection, lead_ids: Sequence[UUID], *, people: bool = True) -> dict[UUID, LeadRow]:
    """The leads that are on record among these, by id. Without `people` customers have the id that leads carried."""
    found = await connection.fetch(f"{_named_leads('leads', people)} WHERE leads.id = ANY($1::uuid[])", lead_ids)
    return {row["id"]: _lead_from_row(row) for row in found}


def view_from_lines(lead: LeadRow, lines: list[Line]) -> LeadView:
    """A lead with its explained actions, added up."""
    totals = Totals(leads=1)
    for line in lines:
        verdict = line.explained.verdict
        totals.add(verdict.outcome, verdict.action.value_minor, verdict.billed_minor)
    return LeadView(lead, totals, lines)


async def recent_sources(connection: asyncpg.Connection) -> list[str]:
    """The sources of the leads that were received last."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT source FROM (SELECT source FROM leads ORDER BY received_at DESC, id DESC LIMIT $1) AS newest
        WHERE source <> '' LIMIT $2
        """,
        _RECENT_LEADS,
        _MOST_SOURCES,
    )
    return [row["source"] for row in rows]


def order_of(only: LeadFilter) -> LeadOrder:
    """RECEIVED where leads of everybody and all times are asked for: only these have an index by it."""
    is_narrow = only.customer_id or only.partner_id or only.product_id or only.start or only.end
    return LeadOrder.CREATED if is_narrow else LeadOrder.RECEIVED


async def page(
    connection: asyncpg.Connection,
    only: LeadFilter,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    newest_by: LeadOrder = LeadOrder.CREATED,
    people: bool = True,
) -> LeadPage:
    """Leads before the place `before`; RECEIVED is for what `order_of` says so of.

    An index finds the leads of a customer, of a partner (or the product's partner) and of a time. The other conditions
    are checked on the next `MOST_LEADS_SEARCHED` of these at most, so a page can hold fewer leads than `limit`, even
    none, and still have a next one.
    """
    arguments: list[object] = []

    def parameter(value: object, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    first, order = await _in_order(connection, only, before, newest_by, parameter)
    searched_arguments = tuple(arguments)
    searched = f"{first} LIMIT {MOST_LEADS_SEARCHED:d}"
    filtered = []
    if only.partner_id and only.customer_id:
        filtered.append(f"leads.partner_id = {parameter(only.partner_id, 'uuid')}")
    if only.product_id:
        filtered.append(f"leads.product_id = {parameter(only.product_id, 'uuid')}")
    if only.lead_type is not None:
        types = f"SELECT DISTINCT lead_type FROM ({searched}) AS leads"  # noqa: S608 - a query of this function
        spelt = await _spellings(connection, {"lead_type": only.lead_type}, types, searched_arguments)
        filtered.append(f"leads.lead_type = ANY({parameter(spelt['lead_type'], 'text[]')})")
    if only.source is not None:
        filtered.append(f"leads.source = {parameter(only.source, 'text')}")
    of_action = []
    wanted = (("action_type", only.action_type), ("engagement_level", only.engagement_level))
    texts = {column: text for column, text in wanted if text is not None}
    if texts:
        found = await _spellings(connection, texts, _of_actions(texts, searched), searched_arguments)
        of_action += [f"{column} = ANY({parameter(found[column], 'text[]')})" for column in texts]
        if not all(found.values()):
            filtered.append("false")
    if only.outcome is not None:
        of_action.append(f"outcome::text = {parameter(only.outcome, 'text')}")
    if only.period is not None:
        of_action.append(f"billing_period = {parameter(only.period, 'integer')}")
    if of_action:
        # OFFSET 0 asks for each lead. As a join, Postgres may read the actions of all leads there are.
        conditions = " AND ".join(("actions.lead_id = leads.id", *of_action))
        filtered.append(f"EXISTS (SELECT FROM actions WHERE {conditions} OFFSET 0)")
    rows = await connection.fetch(
        f"""
        {_named_leads(f"({searched if filtered else f'{first} LIMIT {limit:d}'})", people)}
        WHERE {" AND ".join(["true", *filtered])} ORDER BY {order} LIMIT {limit:d}
        """,
        *arguments,
    )
    last = rows[-1] if len(rows) == limit else None
    if last is None and filtered:
        last = await connection.fetchrow(f"{first} OFFSET {MOST_LEADS_SEARCHED - 1:d} LIMIT 1", *searched_arguments)
    totals = await _totals_of_leads(connection, [row["id"] for row in rows])
    return LeadPage(
        leads=[(_lead_from_row(row), *totals[row["id"]]) for row in rows],
        next=(last[newest_by], last["id"]) if last else None,
    )


async def _in_order(
    connection: asyncpg.Connection,
    only: LeadFilter,
    before: tuple[datetime, UUID] | None,
    newest_by: LeadOrder,
    parameter: Callable[[object, str], str],
) -> tuple[str, str]:
    """A query of the leads that one index finds, newest first, and their order.

    It compares rows with the index as it is, its first column included. Where `partner_id = …` is asked, Postgres may
    take the index of all leads by time instead, and read those of every other partner that are newer.
    """
    column, owner = "", only.customer_id or only.partner_id
    if owner:
        column = "customer_id" if only.customer_id else "partner_id"
    elif only.product_id:
        column = "partner_id"
        owner = (await products.partners_of(connection, [only.product_id])).get(only.product_id)
    columns = [*([column] if column else []), newest_by, "id"]
    of_owner = [parameter(owner, "uuid")] if column else []
    # One place only: of two, Postgres may begin at the one that is farther away.
    end = min(place for place in ((only.end, _LOWEST_ID) if only.end else None, before, _NEVER) if place)
    above, below = [*of_owner], [*of_owner]
    above += [parameter(only.start or _ALWAYS, "timestamptz"), parameter(_LOWEST_ID, "uuid")]
    below += [parameter(end[0], "timestamptz"), parameter(end[1], "uuid")]
    order = ", ".join(f"leads.{name} DESC" for name in columns)
    row = f"({', '.join(columns)})"
    where = f"{row} >= ({', '.join(above)}) AND {row} < ({', '.join(below)})"
    return f"SELECT * FROM leads WHERE {where} ORDER BY {order}", order  # noqa: S608 - texts of this function


def _of_actions(columns: Iterable[str], searched: str) -> str:
    """What stands in columns of the actions of the leads searched; OFFSET 0 as where they are filtered."""
    names = ", ".join(columns)
    return f"""
        SELECT DISTINCT {names} FROM ({searched}) AS leads
        CROSS JOIN LATERAL (SELECT {names} FROM actions WHERE lead_id = leads.id OFFSET 0) AS actions
    """  # noqa: S608 - columns and a query of this module


async def _spellings(
    connection: asyncpg.Connection, texts: Mapping[str, str], query: str, arguments: Sequence[object]
) -> dict[str, list[str]]:
    """By column the spellings in rows of a query that have all texts. SQL folds otherwise than R1, so it cannot."""
    rows = await connection.fetch(query, *arguments)
    fitting = [row for row in rows if all(text_key(row[name]) == text_key(text) for name, text in texts.items())]
    return {name: sorted({row[name] for row in fitting}) for name in texts}


async def _totals_of_leads(connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> dict[UUID, tuple[Totals, int]]:
    """The totals of each lead, and what is credited for its actions; added up by Postgres, which has many at hand."""
    rows = await connection.fetch(
        f"""
        SELECT lead_id, {COUNTED_TOTALS}, coalesce(sum(amount_minor), 0)::bigint AS credited_minor
        FROM actions LEFT JOIN credits ON credits.action_id = actions.id
        WHERE lead_id = ANY($1::uuid[]) GROUP BY lead_id
        """,  # noqa: S608 - columns of ours
        lead_ids,
    )
    found = {row["lead_id"]: (totals_from_row(row), row["credited_minor"]) for row in rows}
    return {lead_id: found.get(lead_id, (Totals(leads=1), 0)) for lead_id in lead_ids}


def _named_leads(source: str, people: bool) -> str:
    """A query of leads with the names of what they refer to.

    OFFSET 0 has them looked up one by one; as joins Postgres may read all customers for a page.
    """
    customer = "external_id" if people else first_carried("leads.partner_id")
    return f"""
        SELECT leads.*, partners.external_id AS partner, partners.name AS partner_name, partners.currency,
               partners.timezone, products.external_id AS product, products.name AS product_name,
               customers.external_id AS customer, customers.name, customers.email
        FROM {source} AS leads
        CROSS JOIN LATERAL (
            SELECT external_id, name, currency, ({LATEST_ZONE.format("partners.id")}) AS timezone
            FROM partners WHERE id = leads.partner_id OFFSET 0
        ) AS partners
        CROSS JOIN LATERAL (SELECT external_id, name FROM products WHERE id = leads.product_id OFFSET 0) AS products
        CROSS JOIN LATERAL (
            SELECT {customer} AS external_id, name, email FROM customers WHERE id = leads.customer_id OFFSET 0
        ) AS customers
    """  # noqa: S608 - a query of this module


def _lead_from_row(row: asyncpg.Record) -> LeadRow:
    return LeadRow(
        id=row["id"],
        external_id=row["external_id"],
        source=row["source"],
        partner=row["partner"],
        partner_name=row["partner_name"],
        currency=row["currency"],
        timezone=row["timezone"],
        product=row["product"],
        product_name=row["product_name"],
        customer=row["customer"],
        customer_name=row["name"],
        customer_email=row["email"],
        lead_type=row["lead_type"],
        created_at=row["created_at"],
        received_at=row["received_at"],
    )
