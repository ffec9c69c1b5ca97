"""Bills that a run makes, many in a few statements: what comes of each is what comes of one that people move."""

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from billing.bills.account import EntryKind
from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import Preferences
from billing.roles import Role
from billing.webhooks.events import Event
from db.bills import documents, issuing_drafts
from db.bills.documents import Document
from db.contracts import billing_settings, billing_terms, seller
from db.contracts.seller import Seller
from db.core.settings import Settings
from db.outgoing import webhooks
from db.runs import billing
from tests.builders import distinct
from tests.people import new_person
from tests.world import World
from worker.runtime import Runtime

APRIL, MAY = 202404, 202405
WRITTEN = {
    "bills": "SELECT partner_id, period, state, number, issued_on, due_on, issue, seal FROM bills ORDER BY 1, 2",
    "bill_actions": """
        SELECT number, position, who_kind, move, from_state, to_state, bill_actions.digest, comment
        FROM bill_actions JOIN bills ON bills.id = bill_id ORDER BY 1, 2
    """,
    "account": """
        SELECT document, kind, position, amount_minor, booked_on, due_on, bill_id = id AS is_own, rest_minor, who_kind
        FROM account_entries JOIN account_rests ON entry_id = id ORDER BY 1
    """,
    "audit": "SELECT what, before, after, count(*) FROM audit WHERE what LIKE 'bill.%' GROUP BY 1, 2, 3 ORDER BY 1, 3",
    "tasks": "SELECT kind, arguments ->> 'partner_id', dedup_key = arguments ->> 'bill_id' FROM tasks ORDER BY 1, 2",
    "told": "SELECT event, (body::jsonb -> 'data') - 'bill_id' FROM outgoing_messages ORDER BY 1, 2",
    "proofs": "SELECT kind, is_checked, count(*) FROM proofs GROUP BY 1, 2",
    "numbers": "SELECT * FROM bill_numbers NATURAL JOIN billing_settings ORDER BY partner_id",
}


class RolledBack(Exception):
    """Ends a transaction whose rows were read."""


async def written(runtime: Runtime, *months: tuple[int, list[UUID]]) -> dict[str, list[tuple[Any, ...]]]:
    """What billing these months of these partners writes; it is rolled back."""
    found = {}
    with suppress(RolledBack):
        async with runtime.unit_of_work() as uow:
            for period, partner_ids in months:
                await billing.bill(uow, runtime.policies, sorted(partner_ids), period, datetime.now(UTC))
            for name, query in WRITTEN.items():
                found[name] = [tuple(row) for row in await uow.connection.fetch(query)]
            raise RolledBack
    return found


async def test_b07_bills_of_a_run_are_issued_together_just_as_one_by_one(
    runtime: Runtime, world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acme has taken the default prefix of globex, initech has a credit that its bill uses."""
    for partner, product in (("globex", "gps"), ("initech", "tps")):
        await world.partner(partner)
        await world.product(product, partner)
    for product, month in (("crm", "04"), ("crm", "05"), ("gps", "05"), ("tps", "05")):
        await world.accept(*distinct(2, f"2024-{month}-10T09:00:00Z", customer="ann", product=product))
    await world.work()
    acme, globex, initech = (world.partners[name] for name in ("acme", "globex", "initech"))
    terms = BillingTerms(payment_days=10, preferences=Preferences(approvals=(), auto_issue=True, language="de"))
    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
        await webhooks.create(uow, settings, "https://example.com/bills", [Event.BILL_ISSUED, Event.BILL_PAID])
        for partner_id in (acme, globex, initech):
            await billing_terms.write(uow.connection, partner_id, 0, terms)
        await billing_settings.change(uow.connection, acme, {"number_prefix": "GLOBEX", "first_number": 40})
        paid = Document(EntryKind.PAYMENT, "p-1", initech, 500, "early", date(2024, 5, 1))
        await documents.enter(uow, paid, datetime.now(UTC))
    months = (APRIL, [acme]), (MAY, [acme, globex, initech])
    issue_all, together = issuing_drafts.issue_all, []

    async def spied(*arguments: Any) -> set[UUID]:
        together.append(await issue_all(*arguments))
        return together[-1]

    async def nothing(*_: Any) -> set[UUID]:
        return set()

    monkeypatch.setattr(issuing_drafts, "issue_all", spied)
    at_once = await written(runtime, *months)
    monkeypatch.setattr(issuing_drafts, "issue_all", nothing)
    one_by_one = await written(runtime, *months)
    assert together == [{acme}, {acme, globex}], "the bill of initech uses credit, and is left to the move of one"
    assert [row[3] for row in at_once["bills"] if row[0] != initech] == ["GLOBEX-0040", "GLOBEX-0041", "GLOBEX2-0001"]
    assert len(at_once["told"]) == 4
    for name, rows in one_by_one.items():
        assert at_once[name] == rows, name


async def test_b07_a_bill_of_a_run_waits_for_those_of_earlier_months(runtime: Runtime, world: World) -> None:
    for month in ("04", "05"):
        await world.accept(*distinct(2, f"2024-{month}-10T09:00:00Z", customer="ann", product="crm"))
    await world.work()
    acme = world.partners["acme"]
    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
        await billing_terms.write(uow.connection, acme, 0, BillingTerms(preferences=Preferences(approvals=())))
        await billing.bill(uow, runtime.policies, [acme], APRIL, datetime.now(UTC))
        preferences = Preferences(approvals=(), auto_issue=True)
        await billing_terms.write(uow.connection, acme, 0, BillingTerms(preferences=preferences))
        results = await billing.bill(uow, runtime.policies, [acme], MAY, datetime.now(UTC))
        assert results[acme].note == "It is not issued: The bill of April 2024 is issued first."
        assert await uow.connection.fetchval("SELECT count(*) FROM bills WHERE number IS NOT NULL") == 0


async def test_whoever_a_bill_of_a_run_waits_for_is_told(runtime: Runtime, world: World, settings: Settings) -> None:
    await world.accept(*distinct(2, "2024-04-10T09:00:00Z", customer="ann", product="crm"))
    await world.work()
    acme, told = world.partners["acme"], []

    async def billed(preferences: Preferences) -> None:
        """What a run leaves to people; it is rolled back."""
        with suppress(RolledBack):
            async with runtime.unit_of_work() as uow:
                await webhooks.create(uow, settings, "https://example.com/bills", [Event.BILL_PENDING])
                await billing_terms.write(uow.connection, acme, 0, BillingTerms(preferences=preferences))
                await billing.bill(uow, runtime.policies, [acme], APRIL, datetime.now(UTC))
                (row,) = await uow.connection.fetch(
                    """
                    SELECT bills.state, (SELECT count(*) FROM bill_notices WHERE bill_id = bills.id),
                        (SELECT count(*) FROM deliveries)
                    FROM bills
                    """
                )
                told.append(tuple(row))
                raise RolledBack

    await billed(Preferences())  # nobody could approve it
    await new_person(runtime.engine, "sam", Role.SALES)
    await billed(Preferences())
    await billed(Preferences(approvals=()))
    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
    await billed(Preferences(approvals=(), auto_issue=True))
    assert told == [("draft", 1, 0), ("pending", 1, 1), ("approved", 1, 0), ("issued", 0, 0)]
