"""R12: what cannot be billed yet waits and is evaluated by itself; people are known by their e-mail."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from billing.leads import Person
from db.core.engine import transaction
from db.core.row_keys import customer_uuid, product_uuid
from db.intake import dead_letters, inbox, quarantine, worker_batch
from db.ledger.policies import Policies
from db.masters import customers, products
from tests.builders import lead, person
from tests.world import World


async def reasons(world: World) -> list[str]:
    async with transaction(world.engine, readonly=True) as connection:
        page = await quarantine.page(connection, reason=None, after=0, limit=100)
    return [lead.reason for lead in page]


async def test_r12_leads_for_nobody_and_nothing_wait_and_lateness_is_judged_when_they_enter(world: World) -> None:
    await world.send(lead("a", customer="eve", product="crm"), lead("b", customer="ann", product="new"))
    assert sorted(await reasons(world)) == ["unknown_customer", "unknown_product"]
    assert await world.close("acme", "2024-04")
    await world.product("new", "acme")
    await world.customer("eve", "eve@example.com")
    assert await reasons(world) == []
    assert {(v.own_period, v.billing_period) for v in world.oracle.verdicts("acme")} == {("2024-04", "2024-05")}
    await world.check()


async def test_r12_a_lead_that_misses_both_waits_for_both(world: World) -> None:
    await world.send(lead("a", customer="eve", product="new"))
    await world.product("new", "acme")
    assert await reasons(world) == ["unknown_customer"]
    await world.customer("eve", "eve@example.com")
    assert await reasons(world) == []
    await world.check()


async def test_r12_the_same_lead_twice_in_a_request_and_again_is_kept_once(world: World) -> None:
    waiting = lead("a", customer="eve", product="new")
    await world.send(waiting, waiting)
    await world.send(waiting)
    assert await reasons(world) == ["unknown_product"]
    await world.check()


async def test_r12_the_same_unknown_leads_in_concurrent_batches_do_not_deadlock(world: World) -> None:
    sent = [lead(f"lead {n}", customer="eve", product="new") for n in range(30)]
    for one in sent:
        world.oracle.accept(one)
    for number in range(10):
        await world.put(*(sent if number % 2 else reversed(sent)))
    await world.scatter()
    results = await asyncio.gather(*(worker_batch.process_inbox(world.engine, Policies(), 30) for _ in range(4)))
    assert sum(results) == 4
    await world.work()
    assert len(await reasons(world)) == 30
    await world.check()


async def test_r12_a_product_created_while_a_batch_quarantines_loses_nothing(world: World) -> None:
    await world.put(lead("a", customer="ann", product="new"))
    async with world.unit_of_work() as uow:
        await products.create(uow, "new", world.partners["acme"], {"name": "New"})
        # The batch cannot see the product yet, which is committed after the lead was quarantined and not announced.
        assert await worker_batch.process_inbox(world.engine, Policies(), 10) == 1
    assert await reasons(world) == ["unknown_product"]
    await world.empty_quarantine()
    assert await reasons(world) == []
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT outcome::text FROM actions") == "billed"


async def test_r12_a_lead_may_bring_its_customer_and_an_unknown_id_with_a_known_e_mail_is_an_alias(
    world: World,
) -> None:
    await world.send(
        lead("a", customer="eve", product="crm") | {"customer": person("Eve@Example.com")},
        lead("b", customer="eve-2", product="crm") | {"customer": person(" eve@example.COM ")},
        lead("c", customer="ann-2", product="crm") | {"customer": person("ann@example.com")},
        lead("d", customer="ann", product="crm") | {"customer": person("bob@example.com")},
    )
    assert [v.customer for v in world.oracle.verdicts("acme")].count("ann") == 2
    await world.check()
    async with transaction(world.engine) as connection:
        found = await customers.read(connection, (await customers.resolve(connection, [_id("eve-2")]))[_id("eve-2")])
    assert (found.external_id, found.email, found.aliases) == ("eve", "eve@example.com", ["eve-2"])


def _id(external_id: str) -> UUID:
    return customer_uuid(external_id)


async def test_r12_two_spellings_of_one_uuid_are_one_new_customer(world: World) -> None:
    """Failed before: the batch broke on the second spelling, was tried again for ever, and held up the whole inbox."""
    spelled = str(uuid4())
    for address in ("eve@example.com", "eve2@example.com"):
        await world.put(
            lead(customer=spelled, product="crm") | {"customer": person("eve@example.com")},
            lead(customer=spelled.upper(), product="crm") | {"customer": person(address)},
        )
        await world.work()
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM customers WHERE email LIKE 'eve%'") == 1
        assert await connection.fetchval("SELECT count(*) FROM customer_aliases") == 0
        assert await connection.fetchval("SELECT count(DISTINCT customer_id) FROM leads") == 1


async def test_r12_one_e_mail_from_many_connections_is_one_person(world: World) -> None:
    async def ensure(number: int) -> None:
        async with transaction(world.engine) as connection:
            await customers.ensure(connection, {f"eve {number}": Person("Eve", "eve@example.com")})

    await asyncio.gather(*(ensure(number) for number in range(8)))
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM customers WHERE email = 'eve@example.com'") == 1
        assert await connection.fetchval("SELECT count(*) FROM customer_aliases") == 7


async def test_r12_the_older_of_two_contradicting_leads_in_quarantine_enters(world: World) -> None:
    await world.send(lead("a", customer="ann", product="new"))
    await world.send(lead("a", customer="bob", product="new"))
    await world.product("new", "acme")
    assert [v.customer for v in world.oracle.verdicts("acme")] == ["ann"]
    assert await reasons(world) == ["conflict"]
    await world.check()


async def test_r12_nothing_accepted_is_dropped(world: World) -> None:
    """Every accepted lead is stored, in quarantine or a dead letter."""
    sent = [lead(f"lead {n}", customer=("ann", "eve")[n % 2], product=("crm", "new")[n % 3 == 0]) for n in range(20)]
    await world.send(*sent)
    async with transaction(world.engine) as connection:
        stored = await connection.fetchval("SELECT count(*) FROM leads")
        assert await dead_letters.page(connection, after=0, limit=10) == []
    assert stored + len(await reasons(world)) == 20


async def quarantined(world: World, customers: Sequence[str], product: str = "crm") -> None:
    """A lead of each customer, whom nobody has created."""
    await world.accept(*(lead(None, customer=name, product=product) for name in customers))
    await world.work()


async def ids_in_quarantine(world: World) -> list[int]:
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT id FROM quarantine WHERE resolved_at IS NULL ORDER BY id")
    return [row["id"] for row in rows]


async def test_r12_a_sweep_looks_at_so_many_rows_however_many_wait(world: World) -> None:
    """Failed before: each sweep, every two seconds, read all of the quarantine."""
    await quarantined(world, [f"nobody {number}" for number in range(10)])
    ids = await ids_in_quarantine(world)
    looked_at = []
    for _ in range(4):
        async with transaction(world.engine) as connection:
            looked_at.append(await quarantine.next_to_look_at(connection, 3))
    newest = ids[-3:]
    assert looked_at == [
        [*ids[:3], *newest],
        [*ids[3:6], *newest],
        [*ids[6:9], ids[9]],
        newest,
    ]
    async with transaction(world.engine) as connection:
        assert await quarantine.next_to_look_at(connection, 3) == [*ids[:3], *newest]
        assert await quarantine.next_to_look_at(connection, 20) == ids


@pytest.mark.parametrize("missing", ["customer", "product"])
async def test_r12_whoever_is_created_releases_what_waited_for_it_and_looks_at_nothing_else(
    world: World, missing: str
) -> None:
    customers = ["eve", "ann"] if missing == "customer" else ["ann", "bob"]
    product = "crm" if missing == "customer" else "new"
    await quarantined(world, [f"nobody {number}" for number in range(3)])
    await quarantined(world, customers, product)
    with pytest.MonkeyPatch.context() as patch:

        async def nothing() -> None:
            return

        patch.setattr(world, "empty_quarantine", nothing)
        await (world.customer("eve", "eve@example.com") if missing == "customer" else world.product("new", "acme"))
    key = customer_uuid("eve") if missing == "customer" else product_uuid("new")
    released = await worker_batch.retry_quarantined(world.engine, world.policies, waiting_for=key)
    assert released == (1 if missing == "customer" else 2)
    assert len(await ids_in_quarantine(world)) == 3
    await world.check()


async def test_r12_what_turns_out_to_be_a_conflict_does_not_keep_the_rest_waiting(world: World) -> None:
    """Failed before: a retry whose first rows stayed said that it had released none, and the others waited."""
    await world.send(*(lead(f"lead {number}", customer="ann", product="crm") for number in range(3)))
    conflicts = [lead(f"lead {number}", customer="eve", product="crm") for number in range(3)]
    await world.accept(*conflicts)
    await world.accept(lead("good", customer="eve", product="crm"))
    await world.work()
    with pytest.MonkeyPatch.context() as patch:

        async def nothing() -> None:
            return

        patch.setattr(world, "empty_quarantine", nothing)
        await world.customer("eve", "eve@example.com")
    assert await worker_batch.retry_quarantined(world.engine, world.policies, 2) == 1
    await world.check()


async def test_r12_a_retry_decides_no_more_actions_at_a_time_than_a_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: 500 leads at a time, whatever they held."""
    steps = [(f"Click {number}", "Low", "2024-04-10T09:00:00Z") for number in range(5)]
    await world.accept(*(lead(f"lead {number}", *steps, customer="eve", product="crm") for number in range(7)))
    await world.work()
    monkeypatch.setattr(inbox, "MOST_ACTIONS", 11)
    ids = await ids_in_quarantine(world)
    with monkeypatch.context() as patch:

        async def nothing() -> None:
            return

        patch.setattr(world, "empty_quarantine", nothing)
        await world.customer("eve", "eve@example.com")
    released_before = []

    async def between(_: int, released: int) -> None:
        released_before.append(released)

    assert await worker_batch.retry_quarantined(world.engine, world.policies, only=ids, between=between) == 7
    assert released_before == [0, 2, 4, 6, 7]
    await world.check()
