"""B1, B3: contracts against batches, issuing and each other."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import Approver, AskedApproval, Paper, Preferences
from billing.contracts.tax import Tax, TaxCategory
from billing.errors import RuleViolation
from db.bills import reviews
from db.contracts import agreed_terms, billing_settings, billing_terms, changes, csm, reading, seller
from db.contracts.agreed_terms import AgreedTerms, PartnerBlock
from db.contracts.changes import ContractUpdate
from db.contracts.seller import Seller
from db.core import locks
from db.core.engine import transaction
from db.ledger import after_end, holds, policy_changes
from db.ledger.policy_changes import PartnerUpdate
from tests.builders import lead
from tests.db.contracts.issued import issue_bill
from tests.world import LATER, World, action_id

APRIL, MAY, JUNE = 202404, 202405, 202406
EVERYTHING = BillingTerms(
    monthly_api_limit=1000,
    overage_unit_cost=Decimal("0.012500"),
    usage_sources=("api", "leadger"),
    tax=Tax(TaxCategory.STANDARD, 2000, "VAT"),
    payment_days=14,
    po_number="PO 7",
    address="Acme Ltd\n1 Road",
    tax_id="GB1",
    start_date=date(2024, 4, 1),
    end_date=date(2025, 3, 31),
    require_csm_approval=True,
    return_days=60,
    return_reasons=("No budget",),
    preferences=Preferences(
        approvals=(AskedApproval(Approver.CSM), AskedApproval(Approver.SALES, 100_000)),
        auto_issue=True,
        send=True,
        remind=False,
        emails=("bills@acme.example",),
        language="de-AT",
        paper=Paper.LETTER,
    ),
)


async def change(world: World, partner: str = "acme", period: int | None = None, **contract: Any) -> None:
    """Change a contract by the product's use case; `settings` apart, what is named are billing terms."""
    settings = contract.pop("settings", {})
    update = PartnerUpdate(effective_period=period, contract=ContractUpdate(contract, settings))
    async with world.unit_of_work() as uow:
        await policy_changes.change_partner(uow, world.policies, world.partners[partner], update, LATER)


async def terms(world: World, period: int, partner: str = "acme") -> BillingTerms:
    async with transaction(world.engine, readonly=True) as connection:
        return (await reading.read(connection, world.partners[partner], period)).terms


async def issue(world: World, period: int, state: str = "issued", partner: str = "acme") -> None:
    async with transaction(world.engine) as connection:
        await locks.lock_bills_exclusive(connection, world.partners[partner])
        await issue_bill(connection, world.partners[partner], period, state)


async def test_b3_a_contract_is_read_as_it_was_agreed(world: World) -> None:
    async with world.unit_of_work() as uow:
        await billing_terms.write(uow.connection, world.partners["acme"], MAY, EVERYTHING)
    assert await terms(world, APRIL) == BillingTerms()
    assert await terms(world, MAY) == await terms(world, JUNE) == EVERYTHING


async def test_b3_a_bill_is_made_from_the_terms_of_its_period(world: World) -> None:
    acme = world.partners["acme"]
    await change(world, period=MAY, address="1 Road", tax_id="GB1", payment_days=14)
    async with world.unit_of_work() as uow:
        assert (await agreed_terms.read(uow.connection, acme, APRIL)).seller is None
        await seller.write(uow, Seller("Us", iban="DE89370400440532013000", small_amount_minor=500))
        await seller.write(uow, Seller("We"))
    async with transaction(world.engine, readonly=True) as connection:
        april, may = [await agreed_terms.read(connection, acme, period) for period in (APRIL, MAY)]
    assert april == AgreedTerms(
        BillingTerms(), PartnerBlock("acme", april.partner.name, None, None, None), Seller("We"), "EUR"
    )
    assert (may.terms.payment_days, may.partner.address, may.partner.tax_id) == (14, "1 Road", "GB1")


async def test_b3_billing_terms_start_in_a_closed_period_and_not_in_an_issued_one(world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    await change(world, period=APRIL, payment_days=7)
    await change(world, payment_days=8)
    assert [(await terms(world, period)).payment_days for period in (202403, APRIL, MAY)] == [30, 7, 8]
    await issue(world, APRIL)
    with pytest.raises(RuleViolation, match=r"cannot start in April 2024: its bill was issued"):
        await change(world, period=APRIL, payment_days=9)
    await change(world, period=202403, payment_days=9)
    assert [(await terms(world, period)).payment_days for period in (202403, APRIL, MAY)] == [9, 7, 8]


async def test_b3_the_period_of_a_cancelled_bill_may_have_other_terms(world: World) -> None:
    """The bill that replaces it is made from them; the bill after it keeps its own."""
    await change(world, payment_days=7)
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE bills DROP CONSTRAINT ck_bills_state")
    await issue(world, APRIL, "cancelled")
    await issue(world, MAY)
    await change(world, period=APRIL, payment_days=9)
    assert [(await terms(world, period)).payment_days for period in (APRIL, MAY, JUNE)] == [9, 7, 7]


async def test_b3_both_kinds_in_one_change_suit_both(world: World) -> None:
    """April is closed, so no cap starts there; May is issued, so no billing terms do: then neither does."""
    await world.send(lead(customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    await issue(world, MAY)
    contract = ContractUpdate({"payment_days": 7})
    for period in (APRIL, MAY):
        update = PartnerUpdate(terms={"cap_minor": 100}, effective_period=period, contract=contract)
        with pytest.raises(RuleViolation):
            async with world.unit_of_work() as uow:
                await policy_changes.change_partner(uow, world.policies, world.partners["acme"], update, LATER)
    async with transaction(world.engine) as connection:
        assert await reading.starts_of_versions(connection, world.partners["acme"]) == [0]
    await world.check()


async def test_b3_billing_terms_wait_for_no_batch(world: World) -> None:
    async with transaction(world.engine) as batch:
        await locks.lock_partners_shared(batch, [world.partners["acme"]])
        await asyncio.wait_for(change(world, payment_days=7), timeout=5)


async def two_changes_at_once(world: World) -> BillingTerms:
    """Two people change different terms, the second having read before the first has written."""
    both_read, read_versions = asyncio.Barrier(2), billing_terms.read_versions

    async def wait_for_the_other(connection: asyncpg.Connection, partner_id: UUID) -> dict[int, BillingTerms]:
        found = await read_versions(connection, partner_id)
        try:
            await asyncio.wait_for(both_read.wait(), 0.3)
        except (TimeoutError, asyncio.BrokenBarrierError):
            return found  # the other one waits for the lock
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(billing_terms, "read_versions", wait_for_the_other)
        await asyncio.gather(change(world, payment_days=7), change(world, po_number="PO 7"))
    return await terms(world, APRIL)


async def test_b3_two_changes_at_once_both_count(world: World) -> None:
    assert await two_changes_at_once(world) == BillingTerms(payment_days=7, po_number="PO 7")


async def test_b3_without_the_lock_of_the_bills_one_change_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_bills_exclusive", no_lock)
    assert await two_changes_at_once(world) != BillingTerms(payment_days=7, po_number="PO 7")


async def test_b3_a_change_waits_for_whoever_issues_and_is_refused_then(world: World) -> None:
    async with transaction(world.engine) as issuing:
        await locks.lock_bills_exclusive(issuing, world.partners["acme"])
        changing = asyncio.create_task(change(world, period=APRIL, payment_days=7))
        await asyncio.sleep(0.1)
        assert not changing.done()
        await issue_bill(issuing, world.partners["acme"], APRIL)
    with pytest.raises(RuleViolation):
        await changing
    assert await terms(world, APRIL) == BillingTerms()


async def test_b1_billing_begins_as_agreed_or_with_the_contract_or_with_the_first_lead(world: World) -> None:
    acme = world.partners["acme"]

    async def first() -> int | None:
        async with transaction(world.engine, readonly=True) as connection:
            return await billing_settings.first_billed_period(connection, acme)

    assert await first() is None
    await world.send(lead(None, ("Click", "High", "2024-06-10T09:00:00Z"), customer="ann", product="crm"))
    assert await first() == JUNE
    await change(world, start_date=date(2024, 5, 31))
    await change(world, period=202505, start_date=date(2025, 5, 1))
    assert await first() == MAY
    await change(world, settings={"billing_from": APRIL})
    assert await first() == APRIL


async def test_b1_where_bills_begin_is_settled_with_the_first_issued_one(world: World) -> None:
    """A contract that is renewed says another start date; months in between would never be billed."""
    acme = world.partners["acme"]
    await world.send(lead("april", customer="ann", product="crm"))
    await issue(world, APRIL)
    await change(world, period=202409, start_date=date(2024, 9, 1))
    async with transaction(world.engine, readonly=True) as connection:
        assert await billing_settings.first_billed_period(connection, acme) == APRIL
    await change(world, settings={"billing_from": APRIL})
    with pytest.raises(RuleViolation, match="settled with its first issued bill"):
        await change(world, settings={"billing_from": MAY})


async def test_b1_nothing_is_credited_of_a_period_without_a_bill(world: World) -> None:
    """An open action is returned all the same: it was not billed yet."""
    await world.send(
        lead("april", customer="ann", product="crm"),
        lead("may", ("Call", "High", "2024-05-10T09:00:00Z"), customer="ann", product="crm"),
    )
    await change(world, settings={"billing_from": MAY})
    assert await world.return_action(("", "may", "Call", "High", "2024-05-10T09:00:00Z", 1))
    await world.close("acme", "2024-04")
    april = action_id(("", "april", "Click", "High", "2024-04-10T09:00:00Z", 1))
    with pytest.raises(RuleViolation) as refused:
        async with world.unit_of_work() as uow:
            await holds.return_action(uow, world.policies, april, "wrong")
    assert str(refused.value) == (
        "April 2024 has no bill, because bills begin with May 2024: nothing of it can be credited."
    )
    await world.check()


async def credit_while_the_first_bill_moves(world: World) -> list[object]:
    """April is closed and its action returned, while bills come to begin with May."""
    await world.send(lead("april", customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    april = action_id(("", "april", "Click", "High", "2024-04-10T09:00:00Z", 1))
    asked, first_billed_period = asyncio.Event(), billing_settings.first_billed_period

    async def ask_and_wait(connection: asyncpg.Connection, partner_id: UUID) -> int | None:
        found = await first_billed_period(connection, partner_id)
        if not asked.is_set():
            asked.set()
            await asyncio.sleep(0.3)
        return found

    async def credit() -> None:
        async with world.unit_of_work() as uow:
            await holds.return_action(uow, world.policies, april, "wrong")

    async def move() -> None:
        await asked.wait()
        await change(world, settings={"billing_from": MAY})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(billing_settings, "first_billed_period", ask_and_wait)
        return list(await asyncio.gather(credit(), move(), return_exceptions=True))


async def test_b1_bills_do_not_begin_after_what_was_credited(world: World) -> None:
    credited, moved = await credit_while_the_first_bill_moves(world)
    assert credited is None
    assert str(moved) == "Bills cannot begin with May 2024: leads of April 2024 were credited."
    with pytest.raises(RuleViolation, match="were credited"):
        await change(world, period=MAY, start_date=date(2024, 5, 1))


async def test_b1_without_the_lock_of_the_partner_a_credit_has_no_bill(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_partner_exclusive", no_lock)
    assert await credit_while_the_first_bill_moves(world) == [None, None]


async def test_b1_settings_are_settled_with_the_first_issued_bill(world: World) -> None:
    await change(world, settings={"billing_from": APRIL, "number_prefix": "ACME"})
    await issue(world, APRIL)
    await change(world, settings={"billing_from": APRIL})
    for settings in ({"billing_from": MAY}, {"number_prefix": "AC"}, {"first_number": 7}):
        with pytest.raises(RuleViolation, match="settled with its first issued bill"):
            await change(world, settings=settings)
    async with transaction(world.engine, readonly=True) as connection:
        found = await reading.read(connection, world.partners["acme"])
    assert found.settings == billing_settings.BillingSettings(APRIL, "ACME", None)


async def test_b7_one_prefix_is_of_one_partner(world: World) -> None:
    await world.partner("other")
    outcomes = await asyncio.gather(
        *(change(world, partner, settings={"number_prefix": "ACME"}) for partner in ("acme", "other")),
        return_exceptions=True,
    )
    assert sorted(map(str, outcomes)) == ["Another partner's bills have the prefix ACME.", "None"]


async def test_b2_a_contract_ends_with_its_last_day_where_the_partner_is(world: World) -> None:
    kiwi = await world.partner("kiwi", timezone="Pacific/Auckland")
    await world.product("wool", "kiwi")
    last, first = ("Click", "High", "2024-05-10T11:59:59Z"), ("Call", "High", "2024-05-10T12:00:00Z")
    await world.send(lead(None, last, first, customer="ann", product="wool"))
    await change(world, "kiwi", MAY, end_date=date(2024, 5, 10))
    async with transaction(world.engine, readonly=True) as connection:
        counted = [await after_end.count(connection, [kiwi], period) for period in (APRIL, MAY, JUNE)]
    assert [each[kiwi] for each in counted] == [0, 1, 0]


async def test_b5_todays_terms_are_those_of_the_day_where_the_partner_is(world: World) -> None:
    await world.partner("kiwi", timezone="Pacific/Auckland")
    partners = [world.partners[name] for name in ("acme", "kiwi")]
    for name in ("acme", "kiwi"):
        await change(world, name, MAY, payment_days=7)
    async with transaction(world.engine, readonly=True) as connection:
        found = await reviews.terms_of_today_of(connection, partners, datetime(2024, 4, 30, 13, tzinfo=UTC))
    assert [found[partner_id].payment_days for partner_id in partners] == [30, 7]


async def test_b5_a_csm_is_an_active_person_who_may_approve(engine: AsyncEngine) -> None:
    kim, others = uuid4(), ("finance", "partner", None)
    async with transaction(engine) as connection:
        await connection.execute(
            "INSERT INTO users (id, name, email, role) VALUES ($1, 'Kim', 'kim@x.example', 'customer_success')", kim
        )
        for role in ("finance", None):
            await connection.execute(
                "INSERT INTO users (id, name, email, role) VALUES ($1, 'No', $2, $3)",
                uuid4(),
                f"{role}@x.example",
                role,
            )
        assert await csm.find(connection, str(kim)) == await csm.find(connection, "KIM@x.example") == kim
        for who in ("Kim", str(uuid4()), *(f"{role}@x.example" for role in others)):
            with pytest.raises(RuleViolation, match="cannot be the CSM"):
                await csm.find(connection, who)
        await connection.execute("UPDATE users SET deactivated_at = now()")
        with pytest.raises(RuleViolation, match="cannot be the CSM"):
            await csm.find(connection, str(kim))


async def test_p3_a_change_of_a_contract_says_what_was_and_what_is(world: World) -> None:
    await change(world, period=MAY, payment_days=7, settings={"billing_from": APRIL})
    await change(world, period=MAY, tax=Tax(TaxCategory.STANDARD, 2000), preferences={"language": "de"})
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT what, before, after FROM audit WHERE what LIKE 'billing_%' ORDER BY id")
    assert [(row["what"], row["before"], row["after"]) for row in rows[:2]] == [
        ("billing_settings.changed", {"billing_from": None}, {"billing_from": APRIL}),
        ("billing_terms.changed", {"payment_days": 30}, {"payment_days": 7, "from_period": "2024-05"}),
    ]
    assert rows[2]["after"]["tax"] == {"category": "S", "rate_bp": 2000, "note": None}
    assert (rows[2]["before"]["preferences"]["language"], rows[2]["after"]["preferences"]["language"]) == ("en", "de")


async def test_b3_a_refused_change_writes_nothing(world: World) -> None:
    await issue(world, APRIL)
    async with transaction(world.engine) as connection:
        before = await connection.fetchval("SELECT count(*) FROM audit")
    for contract in ({"payment_days": 7, "period": APRIL}, {"settings": {"billing_from": MAY}, "payment_days": 7}):
        with pytest.raises(RuleViolation):
            await change(world, **contract)
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit") == before
        assert await connection.fetchval("SELECT count(*) FROM billing_terms") == 0
        assert await connection.fetchval("SELECT count(*) FROM billing_settings") == 0


def test_an_update_that_names_nothing_is_none() -> None:
    assert not changes.ContractUpdate()


WRONG = [
    "UPDATE billing_terms SET tax_category = 'S', tax_rate_bp = 0",
    "UPDATE billing_terms SET tax_category = 'AE', tax_rate_bp = 2000",
    "UPDATE billing_terms SET tax_rate_bp = 2000",
    "UPDATE billing_terms SET overage_unit_cost = -0.000001",
    "UPDATE billing_terms SET start_date = '2024-02-01', end_date = '2024-01-31'",
    "UPDATE billing_terms SET from_period = 202413",
    "UPDATE billing_terms SET csm_id = gen_random_uuid()",
    "INSERT INTO billing_settings (partner_id, number_prefix) SELECT id, 'A-1' FROM partners",
    "INSERT INTO billing_settings (partner_id, billing_from) SELECT id, 202400 FROM partners",
    "INSERT INTO seller (only_one, name) VALUES (false, 'Other')",
    "INSERT INTO usage (partner_id, period, source, key, entry, units, who_kind, who_name)"
    " SELECT id, 202404, 'api', 'k', 1, -1, 'system', 'system' FROM partners",
]


async def test_b3_the_database_refuses_wrong_contracts(world: World) -> None:
    await change(world, payment_days=7)
    for statement in WRONG:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with transaction(world.engine) as connection:
                await connection.execute(statement)
