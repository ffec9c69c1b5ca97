"""R5, R16: rules that are replaced, changed and ended, against closings, other zones and each other."""

import asyncio
from dataclasses import asdict
from typing import Any

import asyncpg
import pytest

from billing.errors import RuleViolation
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.ledger import rate_changes, rate_preview
from db.masters import rates
from db.masters.rates import NewRate, StoredRate
from tests.builders import distinct, lead
from tests.world import World

APRIL, MAY, JUNE = (f"2024-0{month}-10T09:00:00Z" for month in (4, 5, 6))


async def rules(world: World) -> list[StoredRate]:
    """Everything on the card but what Leadger ships with."""
    async with transaction(world.engine, readonly=True) as connection:
        found = [await rates.read(connection, number) for number in range(7, 30)]
    return [rule for rule in found if rule is not None]


async def values(world: World, partner: str = "acme") -> list[int]:
    """The values of the partner's actions, in evaluation order, once both sides agree on all."""
    await world.settle()
    await world.check()
    return [verdict.value_minor for verdict in world.oracle.verdicts(partner)]


async def test_r5_a_rule_with_the_same_conditions_and_start_replaces_the_other(world: World) -> None:
    """Failed before: it was refused, so a wrong price could not be mended."""
    await world.send(lead(customer="ann", product="crm"))
    for start in (None, "2024-04", "2024-04-01T00:00:00Z"):
        assert await world.rate("1.00", partner="acme", action_type="Click", effective_from=start)
        assert await world.rate("2.00", partner="acme", action_type="CLICK", effective_from=start)
    assert await values(world) == [200]
    assert [(rule.ended_at is None, len(rule.replaces)) for rule in await rules(world)] == [(False, 0), (True, 1)] * 3


async def test_r16_a_rule_for_all_starts_with_the_first_open_period_of_each_partner(world: World) -> None:
    """Failed before: it began for all when the Berlin partner's May does, within a UTC partner's April."""
    await world.partner("berlin", "Europe/Berlin")
    await world.product("theirs", "berlin")
    instants = ("2024-03-31T23:00:00Z", "2024-04-30T21:00:00Z", "2024-04-30T23:00:00Z")
    for at in instants:
        await world.send(
            *(
                lead(f"{product}{at}", (at, "Medium", at), customer="ann", product=product)
                for product in ("crm", "theirs")
            )
        )
    assert await world.close("berlin", "2024-03")
    assert await world.close("berlin", "2024-04")
    assert await world.rate("9.00", engagement_level="Medium")
    assert await values(world) == [900, 900, 900]
    assert await values(world, "berlin") == [500, 500, 900]
    assert not await world.rate("7.00", engagement_level="Medium", effective_from="2024-04")
    assert await world.rate("7.00", engagement_level="Medium", effective_from="2024-05")
    assert await values(world) == [900, 900, 900]
    assert await values(world, "berlin") == [500, 500, 700]
    # A partner that comes later has closed nothing: both rules count for it from their own starts on.
    await world.partner("late")
    await world.product("new", "late")
    await world.send(*(lead(f"late{at}", (at, "Medium", at), customer="ann", product="new") for at in (APRIL, MAY)))
    assert await values(world, "late") == [900, 700]


async def test_r16_a_change_and_an_end_leave_closed_periods_alone(world: World) -> None:
    for at in (APRIL, MAY):
        await world.send(lead(at, (at, "High", at), customer="ann", product="crm"))
    await world.rate("4.00", partner="acme")
    wrong = max(world.rule_ids)
    assert await values(world) == [400, 400]
    assert await world.close("acme", "2024-04")
    assert await world.change_rate(wrong, "6.00")
    # Late: priced by the rule that counted at its instant.
    await world.send(lead("late", ("Late", "High", APRIL), customer="ann", product="crm"))
    assert sorted(await values(world)) == [400, 400, 600]
    assert not await world.change_rate(wrong, "7.00")
    assert not await world.end_rate(wrong)
    right = max(world.rule_ids)
    assert await world.end_rate(right)
    assert sorted(await values(world)) == [400, 400, 1000]
    old, new = await rules(world)
    assert (old.replaced_by, old.rate.amount_minor, old.ended_by) == (new.id, 400, "system")
    assert old.spans[partner_uuid("acme")].until_period == 202405
    assert (new.rate.start, new.replaces, new.spans) == (202405, (old.id,), {})


async def test_r16_a_rule_for_all_is_changed_where_it_is_open(world: World) -> None:
    await world.partner("other")
    await world.product("theirs", "other")
    for at in (APRIL, MAY, JUNE):
        await world.send(
            *(lead(f"{product}{at}", (at, "Low", at), customer="ann", product=product) for product in ("crm", "theirs"))
        )
    assert await world.close("acme", "2024-04")
    assert await world.change_rate(2, "3.00")  # the shipped price of Low
    assert (await values(world), await values(world, "other")) == ([200, 300, 300], [300, 300, 300])
    assert await world.close("acme", "2024-05")
    assert await world.close("other", "2024-04")
    assert await world.change_rate(max(world.rule_ids), "4.00")
    assert (await values(world), await values(world, "other")) == ([200, 300, 400], [300, 400, 400])
    assert not await world.end_rate(max(world.rule_ids))  # every level has a price
    assert not await world.change_rate(max(world.rule_ids), None)
    assert await world.reopen("acme", "2024-05")
    assert (await values(world), await values(world, "other")) == ([200, 300, 400], [300, 400, 400])


async def test_r16_a_rule_that_another_one_has_followed_is_not_changed(world: World) -> None:
    await world.send(lead("j", ("Click", "Low", JUNE), customer="ann", product="crm"))
    await world.rate("3.00", action_type="Click")
    first = max(world.rule_ids)
    await world.rate("4.00", action_type="Click", effective_from="2024-05")
    for period in ("2024-04", "2024-05"):
        assert await world.close("acme", period)
    before = await rules(world)
    assert not await world.change_rate(first, "9.00")
    assert await rules(world) == before
    with pytest.raises(RuleViolation, match=r"Rule 7 counts in closed periods only: rule 8 has followed it\."):
        async with world.unit_of_work() as uow:
            await rate_changes.change_rate(uow, world.policies, 7, 900)
    assert await world.end_rate(max(world.rule_ids))
    assert await values(world) == [300]
    assert await world.change_rate(first, "9.00")
    assert await values(world) == [900]


async def test_r5_of_two_who_replace_a_rule_at_once_one_comes_after_the_other(world: World) -> None:
    """Both wait for the lock of the rate card; the second one finds and ends the rule of the first."""

    async def change(amount_minor: int) -> None:
        async with world.unit_of_work() as uow:
            await rate_changes.create_rate(uow, world.policies, NewRate(None, None, None, "Click", None, amount_minor))

    await asyncio.gather(*(change(100 + number) for number in range(4)))
    found = await rules(world)
    assert len(found) == 4
    (in_force,) = [rule for rule in found if rule.ended_at is None]
    assert sorted(rule.replaced_by or 0 for rule in found) == sorted([0, *(rule.id for rule in found[1:])])
    assert in_force == found[-1]


async def test_r5_a_preview_while_the_same_rule_is_set_says_what_changes_beside_that_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: the other rule's unique key refused the preview's, and its task ended with that."""
    await world.send(lead(customer="ann", product="crm"))
    insert, others = rates.insert, [700]

    async def beaten(connection: asyncpg.Connection, rate: NewRate, *rest: Any) -> int:
        if others:
            async with world.unit_of_work() as uow:
                set_meanwhile = NewRate(None, None, None, "Click", None, others.pop())
                await rate_changes.create_rate(uow, world.policies, set_meanwhile)
        return await insert(connection, rate, *rest)

    monkeypatch.setattr(rates, "insert", beaten)
    change = {"rate": asdict(NewRate(None, None, None, "Click", None, 900))}
    found = await rate_preview.preview(world.engine, change)
    assert [(each.actions, each.gross_minor) for each in found.differences] == [(1, -100)]
    assert [rule.rate.amount_minor for rule in await rules(world)] == [700]


async def test_a_preview_is_bounded_and_says_so(world: World) -> None:
    for customer in ("ann", "bob"):
        await world.send(*distinct(3, APRIL, customer=customer, product="crm"))
    before = await rules(world)
    arguments: dict[str, Any] = {"rule_id": 1, "amount_minor": [2000]}
    whole = await rate_preview.preview(world.engine, arguments)
    assert (whole.complete, whole.customers, whole.actions) == (True, 2, 6)
    assert [(each.period, each.actions, each.gross_minor) for each in whole.differences] == [(202404, 6, 6000)]
    part = await rate_preview.preview(world.engine, arguments, most_actions=5)
    assert (part.complete, part.customers, part.actions) == (False, 1, 3)
    assert [(each.actions, each.gross_minor) for each in part.differences] == [(3, 3000)]
    assert await rules(world) == before
    await world.check()
