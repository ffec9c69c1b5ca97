"""Replay of a bill (B11): lines, tax and totals from actions, rates, terms and usage as they were."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.credit_notes import TakenBack, cancelling_note, credit_note
from billing.bills.differences import first_difference
from billing.bills.lines import CreditFigures
from billing.bills.replay import Figures, bill_again
from billing.bills.states import State
from billing.bills.values import Content, LineKind, LineTax
from billing.bills.wire import content_from_json, json_from_content
from billing.contracts.usage import LEADGER
from billing.errors import RuleViolation
from db.bills import facts, records
from db.bills.records import Bill
from db.contracts import agreed_terms, usage
from db.core.unit_of_work import UnitOfWork
from db.ledger import replay
from db.ledger.policies import Policies
from db.tasks import records as tasks

KIND = "replay_bill"
"""The kind of the background task."""


async def start(uow: UnitOfWork, bill: Bill) -> UUID:
    """Start the task that replays a bill and return its id. RuleViolation for a void one."""
    _check_not_void(bill)
    arguments = {"bill_id": bill.head.id, "partner_id": bill.head.partner_id}
    return await tasks.start(uow, KIND, arguments, dedup_key=str(bill.head.id))


async def difference(connection: asyncpg.Connection, policies: Policies, bill: Bill) -> str | None:
    """The first difference between a bill and its replay, in words; None if both are equal. Call it in one snapshot.

    RuleViolation for a void bill: what it was made from may have changed since.
    """
    _check_not_void(bill)
    if bill.head.corrects_id is None:
        again = await _bill(connection, policies, bill)
    else:
        try:
            again = await _note(connection, bill)
        except RuleViolation as error:
            return f"the bill does not allow the credit note: {error}"
    found = first_difference(json_from_content(bill.content), json_from_content(again))
    return found and found.sentence("on the bill", "by the replay")


def _check_not_void(bill: Bill) -> None:
    if bill.head.state is State.VOID:
        raise RuleViolation("The bill is void; what it was made from may have changed since.")


async def _bill(connection: asyncpg.Connection, policies: Policies, bill: Bill) -> Content:
    partner_id, period, content = bill.head.partner_id, bill.head.period, bill.content
    figures = Figures()
    async for verdicts in replay.verdicts(connection, policies, partner_id, period):
        figures.add(verdicts)
    rows = await connection.fetch("SELECT id, external_id FROM products WHERE id = ANY($1::uuid[])", [*figures.totals])
    products = figures.of_products({row["id"]: row["external_id"] for row in rows})
    if bill.head.state is State.CANCELLED:  # terms and usage of the period are those of the bill that replaces it
        terms, units = content.terms, {name: count for name, count in content.usage.items() if name != LEADGER}
    else:
        terms = facts.terms_from_agreed((await agreed_terms.read(connection, partner_id, period)).terms)
        units = await usage.units_of_period(connection, partner_id, period)
    return bill_again(content, terms, products, await _credited(connection, bill), units, figures.leads)


async def _credited(connection: asyncpg.Connection, bill: Bill) -> list[CreditFigures]:
    """What was billed for the actions that were credited in the period, with the tax of the bills issued before."""
    rows = await connection.fetch(
        """
        SELECT products.external_id AS product, actions.billing_period, count(*) AS actions,
            sum(actions.billed_minor)::bigint AS billed_minor
        FROM credits JOIN actions ON actions.id = credits.action_id JOIN products ON products.id = actions.product_id
        WHERE credits.partner_id = $1 AND credits.period = $2 GROUP BY products.external_id, actions.billing_period
        """,
        bill.head.partner_id,
        bill.head.period,
    )
    taxes = await _taxes(connection, bill, {row["billing_period"] for row in rows})
    return [
        CreditFigures(
            product=row["product"],
            name="",
            period=row["billing_period"],
            tax=taxes.get(row["billing_period"]),
            credited_minor=row["billed_minor"],
            actions=row["actions"],
        )
        for row in rows
    ]


async def _taxes(connection: asyncpg.Connection, bill: Bill, periods: set[int]) -> Mapping[int, LineTax | None]:
    """The tax on credits of each period: of its bill that was issued before, else what the bill itself says."""
    taxes = {line.corrects: line.tax for line in bill.content.lines if line.kind is LineKind.CREDIT}
    found: dict[int, LineTax | None] = {}
    for period in periods:
        issued = await facts.issued_content(connection, bill.head.partner_id, period, before=bill.head.id)
        found[period] = issued.terms.tax if issued else taxes.get(period)
    return found


async def _note(connection: asyncpg.Connection, note: Bill) -> Content:
    """A credit note from its bill, its own amounts, and the notes that were issued before it."""
    noted, bill_id = note.content.noted, note.head.corrects_id
    assert noted is not None
    assert bill_id is not None
    bill = await records.read(connection, bill_id)
    assert bill is not None
    rows = await connection.fetch(
        """
        SELECT content FROM bills
        WHERE corrects_id = $1 AND issued_at < coalesce((SELECT issued_at FROM bills WHERE id = $2), 'infinity')
        """,
        bill_id,
        note.head.id,
    )
    before: dict[int, int] = {}
    for row in rows:
        for line in content_from_json(msgspec.json.decode(row["content"])).lines:
            before[line.number] = before.get(line.number, 0) + line.net_minor
    taken = TakenBack(before, {})
    if noted.cancels:
        return cancelling_note(bill.content, taken, noted.reason)
    amounts = {line.number: line.net_minor for line in note.content.lines}
    return credit_note(bill.content, amounts, taken, noted.reason)
