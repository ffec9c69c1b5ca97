"""The leads of a dry run as they would be read if they had been decided."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.leads import Lead
from db.intake import dry_run
from db.intake.arrival import Arrival
from db.intake.dry_run import DryRun
from db.masters.partners import LATEST_ZONE
from db.reports import explained_actions, leads_on_record
from db.reports.explained_actions import DecidedAction, Line, LineCustomer, Unwritten
from db.reports.leads_on_record import LeadRow, LeadView


@dataclass(frozen=True, slots=True)
class TriedLead:
    """A lead of a dry run: `view` if it would be decided, else the problem for which it would be quarantined."""

    lead: Lead
    view: LeadView | None
    problem: str | None
    detail: str


async def try_leads(connection: asyncpg.Connection, leads: Sequence[Lead], received_at: datetime) -> list[TriedLead]:
    """Decide leads by one snapshot and explain the verdicts of their actions; nothing is written and nothing locked.

    Raises BeingReevaluated, see `db.intake.dry_run`.
    """
    arrivals = [Arrival(lead, received_at) for lead in leads]
    views = await _views(connection, await dry_run.decide(connection, arrivals))
    return [
        TriedLead(arrival.lead, None if arrival.problem else views[arrival.id], arrival.problem, arrival.detail)
        for arrival in arrivals
    ]


async def _views(connection: asyncpg.Connection, decided: DryRun) -> dict[UUID, LeadView]:
    """The decided leads by their ids."""
    new = {arrival.id: arrival for arrival in decided.arrivals if arrival.is_new}
    on_record = {arrival.id for arrival in decided.arrivals if not arrival.problem} - new.keys()
    rows = {
        **await leads_on_record.rows(connection, list(on_record)),
        **await _new_rows(connection, new, decided),
    }
    people = decided.people.customers
    described = {row_id: LineCustomer(external_id, name, email) for row_id, external_id, name, email in people}
    lines: dict[UUID, list[Line]] = defaultdict(list)
    actions = await _actions(connection, decided, rows)
    for line in await explained_actions.lines_of_actions(connection, actions, Unwritten(decided.cases, described)):
        lines[line.explained.verdict.action.lead_id].append(line)
    return {lead_id: leads_on_record.view_from_lines(row, lines[lead_id]) for lead_id, row in rows.items()}


async def _actions(
    connection: asyncpg.Connection, decided: DryRun, leads: Mapping[UUID, LeadRow]
) -> list[DecidedAction]:
    """The actions of leads, on record or not, with the verdicts that they would have."""
    changed = {verdict.action.id: verdict for case in decided.cases for _, verdict in case.changes}
    on_record = await explained_actions.actions_of_leads(connection, list(leads))
    own_ids = {row_id: own_id for arrival in decided.arrivals for row_id, own_id in arrival.own_ids.items()}
    new = []
    for case in decided.cases:
        for action in case.new:
            lead, verdict, own_id = leads[action.lead_id], changed[action.id], own_ids.get(action.id)
            new.append(DecidedAction(case.customer, lead.external_id, lead.lead_type, verdict, external_id=own_id))
    return [*(replace(each, verdict=changed.get(each.verdict.action.id, each.verdict)) for each in on_record), *new]


async def _new_rows(connection: asyncpg.Connection, new: dict[UUID, Arrival], decided: DryRun) -> dict[UUID, LeadRow]:
    """The rows of leads that are not on record."""
    products = {
        row["id"]: row
        for row in await connection.fetch(
            f"""
            SELECT products.id, products.external_id AS product, products.name AS product_name,
                partners.external_id AS partner, partners.name AS partner_name, currency,
                ({LATEST_ZONE.format("partners.id")}) AS timezone
            FROM products JOIN partners ON partners.id = partner_id WHERE products.id = ANY($1::uuid[])
            """,  # noqa: S608 - a query of ours
            list({arrival.product_id for arrival in new.values()}),
        )
    }
    people: dict[UUID, tuple[str, str, str]] = {
        row_id: (external_id, name, email) for row_id, external_id, name, email in decided.people.customers
    }
    for row in await connection.fetch(
        "SELECT id, external_id, name, email FROM customers WHERE id = ANY($1::uuid[])",
        list({arrival.customer_id for arrival in new.values()} - people.keys()),
    ):
        people[row["id"]] = row["external_id"], row["name"], row["email"]
    rows = {}
    for lead_id, arrival in new.items():
        customer, customer_name, customer_email = people[arrival.customer_id]
        product = products[arrival.product_id]
        rows[lead_id] = LeadRow(
            id=lead_id,
            external_id=arrival.lead.external_id,
            source=arrival.lead.source,
            partner=product["partner"],
            partner_name=product["partner_name"],
            currency=product["currency"],
            timezone=product["timezone"],
            product=product["product"],
            product_name=product["product_name"],
            customer=customer,
            customer_name=customer_name,
            customer_email=customer_email,
            lead_type=arrival.lead.lead_type,
            created_at=arrival.lead.created_at or arrival.received_at,
            received_at=arrival.received_at,
        )
    return rows
