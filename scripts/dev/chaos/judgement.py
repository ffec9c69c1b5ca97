"""The oracle's judgement: all that the product says, over HTTP and in its tables, against what was acknowledged."""

import asyncio
import csv
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from billing.periods import text_from_period
from db.core.row_keys import partner_uuid
from db.ledger import recount
from scripts.client import Client
from scripts.dev.chaos.history import History
from scripts.dev.chaos.stack import Place
from scripts.dev.chaos.world import World
from tests.oracle import ActionId, Oracle, Verdict
from tests.oracle.values import fold

_MONEY = ("gross", "billed", "duplicate_savings", "cap_savings", "savings", "held", "returned")
_SAMPLED_LEADS = 40
_SHOWN = 20


@dataclass
class Judgement:
    """What differs from the oracle; nothing should."""

    leads: int = 0
    actions: int = 0
    lost: int = 0
    billed_twice: int = 0
    wrong_totals: int = 0
    false_2xx: int = 0
    details: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        """Something the product says is not so."""
        self.wrong_totals += 1
        self.note(what)

    def note(self, what: str) -> None:
        """Keep the first differences for a person to read."""
        if len(self.details) < _SHOWN:
            self.details.append(what)


def judge(place: Place, world: World, history: History, seed: int) -> Judgement:
    """Compare; nothing may wait any more."""
    oracle = Oracle()
    judgement = asyncio.run(judge_tables(place.database_url, world, history, oracle))
    verdicts = {partner.name: oracle.verdicts(partner.name) for partner in world.partners}
    with Client(place.url, place.key) as client:
        for partner in world.partners:
            _compare_reports(client, oracle, world, partner.name, verdicts[partner.name], judgement)
        _compare_leads(client, verdicts, random.Random(seed), judgement)  # noqa: S311 - a sample
    return judgement


# -- the tables


async def judge_tables(database_url: str, world: World, history: History, oracle: Oracle) -> Judgement:
    """Let a new oracle live through it and compare it with what is stored."""
    world.teach(oracle)
    history.replay(oracle)
    verdicts = {partner.name: oracle.verdicts(partner.name) for partner in world.partners}
    judgement = Judgement(
        leads=len({verdict.lead for each in verdicts.values() for verdict in each}),
        actions=sum(map(len, verdicts.values())),
    )
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await _compare_batches(connection, history, judgement)
            for partner in world.partners:
                partner_id = partner_uuid(partner.name)
                await _compare_verdicts(connection, partner_id, verdicts[partner.name], judgement)
                await _check_counters(connection, partner_id, judgement)
    finally:
        await connection.close()
    return judgement


async def _compare_batches(connection: asyncpg.Connection, history: History, judgement: Judgement) -> None:
    """A batch that was acknowledged is on record whole."""
    acknowledged = history.batches
    rows = await connection.fetch(
        "SELECT batch_id, sum(lead_count)::int AS leads FROM inbox WHERE batch_id = ANY($1::uuid[]) GROUP BY batch_id",
        list(acknowledged),
    )
    stored = {str(row["batch_id"]): row["leads"] for row in rows}
    for batch_id, leads in acknowledged.items():
        if stored.get(batch_id, 0) < leads:  # a lead that comes back from the dead letters is one row more
            judgement.false_2xx += 1
            judgement.note(f"batch {batch_id}: {leads} leads acknowledged, {stored.get(batch_id)} stored")


async def _compare_verdicts(
    connection: asyncpg.Connection, partner_id: UUID, verdicts: Iterable[Verdict], judgement: Judgement
) -> None:
    rows = await connection.fetch(
        """
        SELECT actions.*, leads.source, leads.external_id AS lead, products.external_id AS product
        FROM actions JOIN leads ON leads.id = actions.lead_id JOIN products ON products.id = actions.product_id
        WHERE actions.partner_id = $1
        """,
        partner_id,
    )
    stored = {_identity(row): row for row in rows}
    for verdict in verdicts:
        row = stored.pop(verdict.action, None)
        if row is None:
            judgement.lost += 1
            judgement.note(f"lost: {verdict.action}")
            continue
        ours = (verdict.outcome, verdict.value_minor, verdict.billed_minor, verdict.billing_period, verdict.product)
        theirs = (
            row["outcome"],
            row["value_minor"],
            row["billed_minor"],
            text_from_period(row["billing_period"]),
            row["product"],
        )
        if ours != theirs:
            if verdict.billed_minor < row["billed_minor"]:
                judgement.billed_twice += 1
            judgement.wrong(f"{verdict.action}: {theirs}, the oracle says {ours}")
    for identity in stored:
        judgement.billed_twice += 1
        judgement.note(f"never acknowledged, but on record: {identity}")


def _identity(row: asyncpg.Record) -> ActionId:
    return ActionId(
        row["source"],
        row["lead"],
        fold(row["action_type"]),
        fold(row["engagement_level"]),
        row["occurred_at"],
        row["occurrence"] + 1,  # the product counts from 0
    )


async def _check_counters(connection: asyncpg.Connection, partner_id: UUID, judgement: Judgement) -> None:
    """No counter drifts from the verdicts, and every customer's period adds up (R9)."""
    rows = await connection.fetch("SELECT * FROM customer_periods WHERE partner_id = $1", partner_id)
    for period in sorted({row["period"] for row in rows}):
        drift = await recount.drift(connection, partner_id, period)
        if drift.count:
            judgement.wrong(f"{drift.count} counters of {partner_id} drift in {period}")
    for row in rows:
        parts = ("billed", "duplicate_savings", "cap_savings", "held", "returned")
        if row["gross_minor"] != sum(row[f"{part}_minor"] for part in parts):
            judgement.wrong(f"customer {row['customer_id']} of {partner_id} does not add up in {row['period']}")


# -- over HTTP


def _compare_reports(
    client: Client, oracle: Oracle, world: World, partner: str, verdicts: list[Verdict], judgement: Judgement
) -> None:
    by_period: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_period[verdict.billing_period].append(verdict)
    reports = {report["period"]: report for report in client.pages("/billing/reports", partner=partner)}
    for period in by_period.keys() | reports.keys():
        ours = oracle.totals(partner, period)
        if period not in reports:
            judgement.wrong(f"no report of {partner} for {period}")
            continue
        report = reports[period]
        _compare_totals(f"{partner} {period}", ours, report["totals"], judgement)
        for product in report["products"]:
            expected = oracle.product_totals(partner, period, product["product"])
            _compare_totals(f"{product['product']} {period}", expected, product["totals"], judgement)
        people = {}
        for customer in client.pages(f"/billing/reports/{report['report_id']}/customers"):
            known = customer["customer"]["external_id"]
            people[known] = customer["totals"]
            _compare_totals(
                f"{known} {partner} {period}",
                oracle.customer_totals(partner, period, known),
                customer["totals"],
                judgement,
            )
        expected_people = {verdict.customer for verdict in by_period[period]}
        if expected_people - people.keys():
            judgement.wrong(f"customers of {partner} missing in {period}: {sorted(expected_people - people.keys())}")
        _compare_lines(client, report["report_id"], by_period[period], ours["net"], judgement)


def _compare_totals(what: str, ours: Any, theirs: dict[str, Any], judgement: Judgement) -> None:
    said = {name: _minor(theirs[name]) for name in _MONEY} | {name: theirs[name] for name in ("leads", "actions")}
    said["credits"] = _minor(theirs["credited"])
    expected = {name: ours[name] for name in said}
    if said != expected:
        judgement.wrong(f"totals of {what}: {said}, the oracle says {expected}")


def _compare_lines(
    client: Client, report_id: str, verdicts: list[Verdict], net_minor: int, judgement: Judgement
) -> None:
    """The lines of the report as CSV, whose column `net` adds up to what is due."""
    text = client.send("GET", f"/billing/reports/{report_id}", params={"format": "csv"}).text
    due_minor = sum(_minor(row["net"]) for row in csv.DictReader(text.splitlines()))
    if due_minor != net_minor:
        judgement.wrong(f"the lines of report {report_id} add up to {due_minor}, the oracle says {net_minor}")
    said = Counter(
        (row["lead"], _minor(row["billed"]), _minor(row["duplicate_savings"]), _minor(row["cap_savings"]))
        for row in csv.DictReader(text.splitlines())
        if row["row"] == "action"
    )
    expected = Counter(
        (v.lead.lead_id, v.billed_minor, v.duplicate_savings_minor, v.cap_savings_minor) for v in verdicts
    )
    for line in (said - expected) + (expected - said):
        judgement.wrong(f"line of report {report_id}: {line}")


def _compare_leads(
    client: Client, verdicts: dict[str, list[Verdict]], dice: random.Random, judgement: Judgement
) -> None:
    """A sample of the leads, each with every figure and the winner of every duplicate."""
    by_lead: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in (each for all_of in verdicts.values() for each in all_of):
        by_lead[verdict.lead.lead_id].append(verdict)
    for lead_id in dice.sample(sorted(by_lead), min(_SAMPLED_LEADS, len(by_lead))):
        lead = client.get(f"/leads/{lead_id}")
        if lead["state"] != "done":
            judgement.wrong(f"lead {lead_id} is {lead['state']}")
            continue
        said = [
            (
                action["outcome"],
                _minor(action["billed"]),
                None if action["cap_before"] is None else _minor(action["cap_before"]),
                action["billing_period"],
                action["late"],
                action["duplicate_of"] is not None,
            )
            for action in lead["actions"]
        ]
        expected = [
            (v.outcome, v.billed_minor, v.cap_before_minor, v.billing_period, v.late, v.duplicate_of is not None)
            for v in by_lead[lead_id]
        ]
        if said != expected:
            judgement.wrong(f"lead {lead_id}: {said}, the oracle says {expected}")


def _minor(amount: str) -> int:
    units, _, cents = amount.partition(".")
    return int(units + cents)
