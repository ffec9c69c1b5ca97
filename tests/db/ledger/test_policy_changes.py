"""R16: a change of terms, time zone or rates is one transaction, announced after its commit, or nothing at all."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from billing.errors import BillingError, RuleViolation
from billing.rates import InvalidRate
from db.core.engine import transaction
from db.core.row_keys import product_uuid
from db.core.unit_of_work import Message
from db.ledger import policy_changes, rate_changes
from db.ledger.policy_changes import PartnerUpdate
from db.masters.rates import NewRate
from db.tasks.notifications import RUN_TASK
from tests.world import LATER, World

ANY = NewRate(None, None, None, "Click", None, 300, None)


async def version(world: World, partner: str = "acme") -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return (await world.policies.load(connection, [world.partners[partner]]))[world.partners[partner]].version


async def rows(world: World) -> list[Any]:
    """Everything that a change writes."""
    tables = ("partners", "partner_terms", "partner_time_zones", "periods", "rates", "rate_spans", "tasks")
    async with transaction(world.engine, readonly=True) as connection:
        return [await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


async def change_partner(world: World, **update: Any) -> UUID | None:
    async with world.unit_of_work() as uow:
        return await policy_changes.change_partner(
            uow, world.policies, world.partners["acme"], PartnerUpdate(**update), LATER
        )


async def create_rate(world: World, **rate: Any) -> UUID:
    async with world.unit_of_work() as uow:
        values = {name: getattr(ANY, name) for name in ANY.__slots__} | rate
        return (await rate_changes.create_rate(uow, world.policies, NewRate(**values))).task_id


@pytest.mark.parametrize(
    "change",
    [
        lambda world: change_partner(world, terms={"cap_minor": 100}),
        lambda world: change_partner(world, timezone="Asia/Tokyo", fields={"name": "Acme 2"}),
        create_rate,
    ],
)
async def test_r16_a_change_starts_the_re_evaluation_and_announces_it_after_the_commit(
    world: World, change: Callable[[World], Awaitable[UUID]]
) -> None:
    before = await version(world)
    world.published.clear()
    task_id = await change(world)
    assert world.published == [Message(RUN_TASK, (str(task_id),))]
    assert await version(world) == before + 1
    async with transaction(world.engine, readonly=True) as connection:
        row = await connection.fetchrow("SELECT kind, arguments, state::text FROM tasks WHERE id = $1", task_id)
    assert row is not None
    assert tuple(row) == ("reevaluate_stale", {}, "waiting")


async def test_a_change_of_the_name_re_evaluates_nothing(world: World) -> None:
    before = await version(world)
    world.published.clear()
    assert await change_partner(world, fields={"name": "Acme 2"}) is None
    assert (await version(world), world.published) == (before, [])


async def test_r16_a_changed_currency_is_not_hidden_by_the_cache(world: World) -> None:
    """It raises no version, so the cache is cleared after the commit."""
    assert await version(world)
    await change_partner(world, fields={"currency": "USD"})
    async with transaction(world.engine, readonly=True) as connection:
        (policy,) = (await world.policies.load(connection, [world.partners["acme"]])).values()
    assert policy.currency == "USD"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (
            lambda world: change_partner(world, fields={"name": "No"}, terms={"cap_minor": 1}, effective_period=202404),
            409,
        ),
        (lambda world: create_rate(world, start=202404), 409),
        (
            lambda world: create_rate(world, product_id=product_uuid("crm"), partner_id=world.partners["other"]),
            "product",
        ),
        (lambda world: create_rate(world, action_type=None, engagement_level="High", amount_minor=None), "amount"),
    ],
)
async def test_r16_a_refused_change_writes_and_announces_nothing(
    world: World, change: Callable[[World], Awaitable[UUID]], refusal: int | str
) -> None:
    await world.partner("other")
    await world.close("acme", "2024-04")
    await create_rate(world, start=LATER)
    world.published.clear()
    before = await rows(world)
    with pytest.raises(BillingError) as refused:
        await change(world)
    if refusal == 409:
        assert isinstance(refused.value, RuleViolation)
    else:
        assert isinstance(refused.value, InvalidRate)
        assert refused.value.field == refusal
    assert (await rows(world), world.published) == (before, [])
