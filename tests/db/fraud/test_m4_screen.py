"""M4: a screen counts what the rules find, holds what armed ones find, and what is released stays so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from billing.fraud.rules import RULES
from db.core.engine import transaction
from db.core.row_keys import customer_uuid, partner_uuid
from db.core.unit_of_work import UnitOfWork
from db.fraud import held, screening, set_rules
from db.fraud.held import Decision, Held, HeldFilter
from db.fraud.screening import Screened
from db.fraud.set_rules import RuleChange
from tests.builders import Wire
from tests.db.fraud.planted import PLANTED, clicks
from tests.world import World

PERIOD = 202404
DISPOSABLE = frozenset({"mailinator.com"})


async def set_rule(world: World, rule: str, armed: bool = True, **limits: int) -> None:
    async with world.unit_of_work() as uow:
        await set_rules.change(uow, RULES[rule], RuleChange(armed=armed, limits=limits))


async def screen(world: World, partner: str = "acme", period: int = PERIOD) -> Screened:
    partner_id = partner_uuid(partner)
    return (await screening.screen(world.unit_of_work, world.policies, [partner_id], period, DISPOSABLE))[partner_id]


async def held_of(world: World, partner: str = "acme") -> list[Held]:
    async with transaction(world.engine, readonly=True) as connection:
        return await held.page(connection, HeldFilter(partner_uuid(partner)), after=None, limit=500)


async def decide(world: World, actions: list[Held], decision: Decision) -> set[UUID]:
    customer = actions[0].partner_id, actions[0].customer_id
    async with world.unit_of_work() as uow:
        ids = [each.action_id for each in actions]
        return await held.decide(uow, world.policies, customer, ids, decision, "because")


def tell_oracle(world: World, sent: list[Wire], change: str = "hold") -> None:
    """Let the oracle do with every action what the engine did."""
    for each in sent:
        (action,) = each["actions"]
        reference = ("", each["lead_id"], action["action_type"], action["engagement_level"], action["timestamp"], 1)
        getattr(world.oracle, change)(reference)


@pytest.fixture
async def burst(world: World) -> list[Wire]:
    """Five clicks of ann within an hour, for the armed rule that finds so many; and what is not guilty."""
    guilty = clicks("ann", (0, 1, 7, 13, 58))
    await world.send(*guilty, *clicks("ann", (61, 999)), *clicks("bob", (0, 10)))
    await set_rule(world, "customer_burst", actions=5)
    return guilty


async def test_m4_a_rule_finds_its_kind_of_fraud_and_holds_it_only_when_it_is_armed(world: World) -> None:
    for rule, planted in PLANTED.items():
        for partner in (rule, f"not {rule}"):
            await world.partner(partner)
            await world.product(f"crm of {partner}", partner)
        sent = [(rule, each) for each in planted.leads] + [(f"not {rule}", each) for each in planted.elsewhere]
        for who in {each["customer_id"] for each in planted.leads}:
            await world.customer(f"{rule} {who}", planted.emails.get(who, f"{rule}.{who}@example.com"))
        await world.send(
            *(
                each
                | {"lead_id": f"{rule}-{number}", "customer_id": f"{rule} {each['customer_id']}"}
                | {"product_id": f"crm of {partner}"}
                for number, (partner, each) in enumerate(sent)
            )
        )
        await set_rule(world, rule, armed=False, **planted.limits)
        shadow = await screen(world, rule)
        found = {each.rule: each.actions for each in shadow.found}
        assert (rule, found[rule], shadow.held, await held_of(world, rule)) == (rule, planted.guilty, 0, [])

        await set_rule(world, rule)
        assert (await screen(world, rule)).held == planted.guilty
        held_now = await held_of(world, rule)
        assert [each.rule for each in held_now] == [rule] * planted.guilty
        assert customer_uuid(f"{rule} bob") not in {each.customer_id for each in held_now}
        await set_rule(world, rule, armed=False)
    partners = {partner: partner_uuid(partner) for partner in PLANTED}
    every = await screening.screen(world.unit_of_work, world.policies, [*partners.values()], PERIOD, DISPOSABLE)
    alone = {partner: await screen(world, partner) for partner in partners}
    assert {partner: every[partner_id] for partner, partner_id in partners.items()} == alone
    async with transaction(world.engine, readonly=True) as connection:
        text = str(await connection.fetch("SELECT facts::text, reason FROM fraud_holds"))
    emails = [email for planted in PLANTED.values() for email in planted.emails.values()]
    assert [name for name in [*emails, "ann", "mailinator"] if name in text] == []


async def test_m4_what_is_held_is_judged_like_what_a_person_holds(world: World, burst: list[Wire]) -> None:
    await world.terms("acme", "2024-04", cap="3.00", dedup_window="period")  # ann is stale: all of her is judged again
    screened = await screen(world)
    assert (screened.actions, screened.held, screened.currency) == (9, 5, "EUR")
    tell_oracle(world, burst)
    await world.check()
    facts = {"actions": 5, "limit_actions": 5}
    assert [(each.rule, each.version, each.score, each.facts) for each in await held_of(world)] == [
        ("customer_burst", 1, 50, facts)
    ] * 5
    assert (await screen(world)).held == 0


async def test_m4_a_release_is_final_and_a_confirmed_action_is_returned(world: World, burst: list[Wire]) -> None:
    await screen(world)
    held_now = await held_of(world)
    tell_oracle(world, burst)
    by_id = {each.action_id: each for each in held_now}
    first, *others = held_now
    assert await decide(world, [first], Decision.RELEASE) == {first.action_id}
    again = await screen(world)
    assert ({each.rule: each.actions for each in again.found}["customer_burst"], again.held) == (5, 0)
    assert await decide(world, others, Decision.CONFIRM) == by_id.keys() - {first.action_id}
    released = [each for each in burst if each["lead_id"] == first.lead]
    tell_oracle(world, released, "release")
    tell_oracle(world, [each for each in burst if each not in released], "return_")
    await world.check()
    assert await decide(world, [first], Decision.RELEASE) == {first.action_id}  # repeated
    assert await decide(world, [first], Decision.CONFIRM) == set()  # it counts, and is nobody's here any more
    again = await screen(world)
    assert (again.held, await held_of(world)) == (0, [])
    await world.check()


async def test_m4_what_a_person_releases_by_hand_is_not_held_again(world: World, burst: list[Wire]) -> None:
    await screen(world)
    tell_oracle(world, burst)
    action = burst[0]["actions"][0]
    reference = ("", burst[0]["lead_id"], action["action_type"], "Low", action["timestamp"], 1)
    assert await world.release(reference)
    assert (await screen(world)).held == 0
    await world.hold(reference)
    assert sorted(each.rule or "a person" for each in await held_of(world)) == ["a person", *["customer_burst"] * 4]


async def test_m4_killed_before_it_holds_the_next_screen_holds_the_rest(world: World, burst: list[Wire]) -> None:
    for number in range(3):
        await world.customer(f"c{number}", f"c{number}@example.com")
        more = clicks(f"c{number}", (0, 1, 7, 13, 58))
        await world.send(*more)
        burst += more
    begun = 0

    class Killed(Exception):
        pass

    @asynccontextmanager
    async def begin() -> AsyncIterator[UnitOfWork]:
        nonlocal begun
        begun += 1
        async with world.unit_of_work() as uow:
            yield uow
            if begun == 2:
                raise Killed

    with pytest.raises(Killed):
        await screening.screen(begin, world.policies, [partner_uuid("acme")], PERIOD, DISPOSABLE)
    assert await held_of(world) == []
    both = await asyncio.gather(screen(world), screen(world))
    assert sum(each.held for each in both) == 20
    tell_oracle(world, burst)
    await world.check()


async def test_m4_of_a_closed_month_findings_are_counted_and_nothing_is_held(world: World, burst: list[Wire]) -> None:
    assert await world.close("acme", "2024-04")
    screened = await screen(world)
    assert {each.rule: each.actions for each in screened.found}["customer_burst"] == 5
    assert (screened.held, await held_of(world)) == (0, [])
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM fraud_holds") == 0
        assert (await set_rules.tallies(connection))["customer_burst"].actions == 5


async def test_m4_a_partner_whose_month_is_closed_still_counts_among_many(world: World) -> None:
    await world.partner("globex")
    await world.product("gps", "globex")
    at_globex = [each | {"product_id": "gps"} for each in clicks("ann", (5,))]
    await world.send(*clicks("ann", (0, 9)), *at_globex)
    await set_rule(world, "many_partners", partners=2)
    assert (await screen(world)).held == 2
    assert await world.close("acme", "2024-04")  # what is held moves to May
    assert (await screen(world, "globex")).held == 1
    assert (await screen(world, "globex", 202405)).actions == 0


async def test_m4_what_is_closed_between_finding_and_holding_is_not_held(world: World, burst: list[Wire]) -> None:
    assert burst
    async with world.unit_of_work() as uow:
        in_force = await world.policies.load(uow.connection, [partner_uuid("acme")])
        await screening.find(uow.connection, [*in_force.values()], PERIOD, DISPOSABLE)
    assert await world.close("acme", "2024-04")
    assert (await screen(world)).held == 0
    await world.check()
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM fraud_holds") == 0


async def test_m4_an_action_is_found_once_whatever_the_database_is_told(world: World, burst: list[Wire]) -> None:
    await screen(world)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with transaction(world.engine) as connection:
            await connection.execute("INSERT INTO fraud_holds SELECT * FROM fraud_holds")
