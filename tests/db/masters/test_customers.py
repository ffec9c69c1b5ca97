"""Customers: people, the aliases that mean them, and what is refused (R12)."""

import pytest

from billing.errors import RuleViolation
from billing.leads import Person
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.core.unit_of_work import Message
from db.masters import customers
from db.masters.customers import Customer
from db.masters.erased import ERASED_NAME, erased_email
from db.privacy import erased_names
from db.tasks.notifications import RETRY_QUARANTINE, RUN_TASK
from tests.world import World

EVE = Person("Eve", "eve@example.com")


async def create(world: World, external_id: str, person: Person = EVE) -> tuple[Customer, bool]:
    async with world.unit_of_work() as uow:
        return await customers.create(uow, external_id, person)


async def test_r12_a_new_id_is_announced_to_the_quarantine_once(world: World) -> None:
    world.published.clear()
    eve, is_new = await create(world, "eve")
    assert is_new
    assert eve == Customer(customer_uuid("eve"), "eve", "Eve", "eve@example.com", [], eve.created_at)
    announced = [Message(RETRY_QUARANTINE, (str(customer_uuid(name)),)) for name in ("eve", "eve-2")]
    assert world.published == announced[:1]
    alias, is_new = await create(world, "eve-2", Person("Somebody", "eve@example.com"))
    assert not is_new
    assert (alias.id, alias.name, alias.aliases) == (eve.id, "Eve", ["eve-2"])
    assert world.published == announced
    for known in ("eve", "eve-2"):
        assert await create(world, known) == (alias, False)
    assert world.published == announced


@pytest.mark.parametrize(
    ("external_id", "person", "named"),
    [
        ("eve", Person("Other", "eve@example.com"), "name"),
        ("eve", Person("Eve", "other@example.com"), "email"),
        ("eve-2", Person("Eve", "other@example.com"), "email"),
    ],
)
async def test_r12_a_known_id_that_means_somebody_else_is_refused(
    world: World, external_id: str, person: Person, named: str
) -> None:
    await create(world, "eve")
    await create(world, "eve-2")
    world.published.clear()
    with pytest.raises(RuleViolation) as refusal:
        await create(world, external_id, person)
    assert str(refusal.value) == f"Customer {external_id!r} exists with another {named}."
    assert world.published == []


async def test_name_and_e_mail_can_change_unless_the_e_mail_is_taken(world: World) -> None:
    eve, _ = await create(world, "eve")
    async with world.unit_of_work() as uow:
        changed = await customers.change(uow, eve.id, {"name": "Eva", "email": "eva@example.com"})
    assert (changed.name, changed.email) == ("Eva", "eva@example.com")
    with pytest.raises(RuleViolation) as refusal:
        async with world.unit_of_work() as uow:
            await customers.change(uow, eve.id, {"name": "No", "email": "ann@example.com"})
    assert str(refusal.value) == "Another customer has the e-mail 'ann@example.com'."
    async with transaction(world.engine, readonly=True) as connection:
        assert await customers.read(connection, eve.id) == changed
        found = await customers.read_page(connection, after="ann", limit=9)
    assert [each.external_id for each in found] == ["bob", "eve"]


async def test_an_erased_customer_does_not_change(world: World) -> None:
    eve, _ = await create(world, "eve")
    async with world.unit_of_work() as uow:
        await erased_names.erase_names(uow.connection, eve.id, "eve")
    with pytest.raises(RuleViolation, match="was erased, and stays so"):
        async with world.unit_of_work() as uow:
            await customers.change(uow, eve.id, {"name": "Eve"})
    async with transaction(world.engine, readonly=True) as connection:
        erased = await customers.read(connection, eve.id)
    assert (erased.external_id, erased.name, erased.email) == (str(eve.id), ERASED_NAME, erased_email(eve.id))


async def test_an_erasure_is_a_task_that_is_announced_after_the_commit(world: World) -> None:
    eve, _ = await create(world, "eve")
    world.published.clear()
    async with world.unit_of_work() as uow:
        task_id = await erased_names.start(uow, eve.id, "eve")
        assert world.published == []
    assert world.published == [Message(RUN_TASK, (str(task_id),))]
    async with transaction(world.engine, readonly=True) as connection:
        row = await connection.fetchrow("SELECT kind, arguments FROM tasks WHERE id = $1", task_id)
    assert row is not None
    assert tuple(row) == ("erase", {"customer_id": str(eve.id), "asked_as": "eve"})
