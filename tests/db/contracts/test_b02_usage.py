"""B2: usage by source and key: entered once, replaced only when asked to, never lost, never after the bill."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from billing.errors import RuleViolation
from db.contracts import usage
from db.contracts.usage import Place, Usage, UsageFilter, UsageKey
from db.core import locks
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import unit_of_work
from tests.db.contracts.issued import issue_bill
from tests.rows_read import rows_read
from tests.world import World

APRIL, MAY = 202404, 202405
NOW = datetime(2024, 5, 10, tzinfo=UTC)
ANN, BOB = (Actor(ActorKind.KEY, uuid4(), name) for name in ("ann", "bob"))


async def enter(
    world: World,
    units: int,
    key: str = "k",
    source: str = "api",
    *,
    period: int = APRIL,
    replace: bool = False,
    who: Actor = ANN,
    partner: str = "acme",
) -> bool:
    async with unit_of_work(world.engine, lambda *_: None, actor=who) as uow:
        entry = UsageKey(world.partners[partner], period, source, key)
        return await usage.enter(uow, entry, units, NOW, replace=replace)


async def units(world: World, period: int = APRIL) -> dict[str, int]:
    async with transaction(world.engine, readonly=True) as connection:
        return await usage.units_of_period(connection, world.partners["acme"], period)


async def entries(world: World, **only: object) -> list[tuple[str, str, int, int]]:
    async with transaction(world.engine, readonly=True) as connection:
        found = await usage.page(connection, UsageFilter(**only), after=None, limit=100)  # type: ignore[arg-type]
    return [(each.key.source, each.key.key, each.entry, each.units) for each in found]


async def test_b2_the_same_again_changes_nothing(world: World) -> None:
    assert [await enter(world, 5) for _ in range(3)] == [True, False, False]
    assert await entries(world, history=True) == [("api", "k", 1, 5)]
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit WHERE what = 'usage.entered'") == 1


async def test_b2_other_units_are_refused_unless_they_replace(world: World) -> None:
    await enter(world, 5)
    with pytest.raises(RuleViolation) as refused:
        await enter(world, 6)
    assert str(refused.value) == "api 'k' of 2024-04 has 5 units; send `replace` to enter others."
    assert await enter(world, 6, replace=True)
    assert not await enter(world, 6, replace=True)
    assert await enter(world, 0, replace=True)
    assert await entries(world) == [("api", "k", 3, 0)]
    assert await entries(world, history=True) == [("api", "k", 1, 5), ("api", "k", 2, 6), ("api", "k", 3, 0)]


async def test_b2_units_are_summed_by_source_of_partner_and_period(world: World) -> None:
    await world.partner("other")
    await enter(world, 5, "a")
    await enter(world, 7, "b")
    await enter(world, 8, "b", replace=True)
    await enter(world, 1, "a", "batch")
    await enter(world, 100, period=MAY)
    await enter(world, 100, partner="other")
    assert await units(world) == {"api": 13, "batch": 1}
    assert await units(world, MAY) == {"api": 100}
    assert await units(world, 202403) == {}


async def test_b5_whoever_entered_units_is_a_maker_also_if_they_were_replaced(world: World) -> None:
    await enter(world, 5, who=ANN)
    await enter(world, 6, who=BOB, replace=True)
    await enter(world, 6, who=BOB, key="other")
    async with transaction(world.engine, readonly=True) as connection:
        acme = world.partners["acme"]
        found = await usage.makers(connection, [acme, acme], [APRIL, MAY])
    assert sorted(found, key=lambda each: each[2].name) == [(acme, APRIL, ANN), (acme, APRIL, BOB)]


async def test_b2_a_period_that_has_not_begun_has_no_usage(world: World) -> None:
    with pytest.raises(RuleViolation) as refused:
        await enter(world, 5, period=202406)
    assert str(refused.value) == "June 2024 has not begun yet, so it has no usage."
    assert await entries(world) == []


async def test_b3_usage_of_an_issued_period_never_changes(world: World) -> None:
    await enter(world, 5)
    async with transaction(world.engine) as connection:
        await issue_bill(connection, world.partners["acme"], APRIL)
    assert not await enter(world, 5)
    for key, units_now in (("k", 6), ("new", 5)):
        with pytest.raises(RuleViolation, match="The bill of April 2024 was issued"):
            await enter(world, units_now, key, replace=True)
    assert await entries(world, history=True) == [("api", "k", 1, 5)]


async def enter_while_a_bill_is_issued(world: World) -> object:
    """Units come between the moment a bill is made from its sources and the moment it is issued."""
    async with transaction(world.engine) as issuing:
        await locks.lock_bills_exclusive(issuing, world.partners["acme"])
        entering = asyncio.create_task(enter(world, 5))
        await asyncio.sleep(0.2)
        await issue_bill(issuing, world.partners["acme"], APRIL)
    (outcome,) = await asyncio.gather(entering, return_exceptions=True)
    return outcome


async def test_b3_units_wait_for_whoever_issues_the_bill(world: World) -> None:
    assert isinstance(await enter_while_a_bill_is_issued(world), RuleViolation)
    assert await units(world) == {}


async def test_b3_without_the_lock_units_come_to_an_issued_bill(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_bills_shared", no_lock)
    assert await enter_while_a_bill_is_issued(world) is True


async def test_b2_ten_at_once_enter_one(world: World) -> None:
    assert sorted(await asyncio.gather(*(enter(world, 5) for _ in range(10)))) == [False] * 9 + [True]
    outcomes = await asyncio.gather(*(enter(world, each, replace=True) for each in range(10, 20)))
    assert outcomes == [True] * 10
    found = await entries(world, history=True)
    assert [entry for _, _, entry, _ in found] == list(range(1, 12))
    assert sorted(count for *_, count in found) == [5, *range(10, 20)]


async def test_b5_the_database_refuses_to_change_an_entry(world: World) -> None:
    await enter(world, 5)
    for statement in ("UPDATE usage SET units = 6", "DELETE FROM usage", "TRUNCATE usage"):
        with pytest.raises(asyncpg.CheckViolationError, match="an entry of usage never changes"):
            async with transaction(world.engine) as connection:
                await connection.execute(statement)
    assert await entries(world, history=True) == [("api", "k", 1, 5)]


async def test_usage_is_read_in_pages(world: World) -> None:
    await world.partner("other")
    await enter(world, 1, "later", period=MAY)
    await enter(world, 1, "b")
    await enter(world, 1, "a", "batch")
    await enter(world, 2, "b", replace=True)
    await enter(world, 1, partner="other")
    everything: list[Usage] = []
    async with transaction(world.engine, readonly=True) as connection:
        while page := await usage.page(
            connection, UsageFilter(history=True), after=place_of(everything[-1]) if everything else None, limit=2
        ):
            everything += page
    assert [place_of(each) for each in everything] == sorted(
        [
            (world.partners["acme"], APRIL, "api", "b", 1),
            (world.partners["acme"], APRIL, "api", "b", 2),
            (world.partners["acme"], APRIL, "batch", "a", 1),
            (world.partners["acme"], MAY, "api", "later", 1),
            (world.partners["other"], APRIL, "api", "k", 1),
        ]
    )
    assert {each.partner for each in everything} == {"acme", "other"}
    assert await entries(world, source="batch") == [("batch", "a", 1, 1)]
    assert await entries(world, partner_id=world.partners["acme"], period=MAY) == [("api", "later", 1, 1)]


def place_of(one: Usage) -> Place:
    return one.key.partner_id, one.key.period, one.key.source, one.key.key, one.entry


async def test_a_page_of_usage_reads_that_page(world: World) -> None:
    """Whatever else there is: 3,000 entries of 1,000 keys, and ten are asked for."""
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO usage (partner_id, period, source, key, entry, units, who_kind, who_name)
            SELECT $1, 202404, 'api', lpad(key::text, 4, '0'), entry, 1, 'system', 'system'
            FROM generate_series(1, 1000) AS key, generate_series(1, 3) AS entry
            """,
            world.partners["acme"],
        )
        await connection.execute("ANALYZE usage")
    page: list[Usage] = []
    place = (world.partners["acme"], 202404, "api", "0500", 3)

    async def ask() -> None:
        page.extend(await usage.page(connection, UsageFilter(), after=place, limit=10))

    async with transaction(world.engine, readonly=True) as connection:
        assert await rows_read(connection, ask) < 200
    assert [each.key.key for each in page] == [f"{number:04}" for number in range(501, 511)]
