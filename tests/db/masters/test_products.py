"""Products: one of a kind, announced to the quarantine when they are new (R12)."""

import pytest

from billing.errors import RuleViolation
from db.core.engine import transaction
from db.core.row_keys import product_uuid
from db.core.unit_of_work import Message
from db.masters import products
from db.masters.products import Product
from db.tasks.notifications import RETRY_QUARANTINE
from tests.world import World


async def create(world: World, partner: str = "acme", **fields: str | None) -> tuple[Product, bool]:
    async with world.unit_of_work() as uow:
        return await products.create(uow, "widget", world.partners[partner], fields)


async def test_r12_a_new_product_is_announced_to_the_quarantine_once(world: World) -> None:
    world.published.clear()
    made, is_new = await create(world, name="Widget", description="d")
    assert is_new
    assert made == Product(
        product_uuid("widget"), "widget", world.partners["acme"], "acme", "Widget", "d", made.created_at
    )
    assert world.published == [Message(RETRY_QUARANTINE, (str(product_uuid("widget")),))]
    for same in ({"name": "Widget"}, {"name": "Widget", "description": "d"}):
        assert await create(world, **same) == (made, False)
    assert world.published == [Message(RETRY_QUARANTINE, (str(product_uuid("widget")),))]


@pytest.mark.parametrize(
    ("partner", "fields", "named"),
    [
        ("other", {"name": "Widget"}, "partner"),
        ("acme", {"name": "Other"}, "name"),
        ("acme", {"name": "Widget", "description": None}, "description"),
    ],
)
async def test_a_taken_id_with_other_content_is_refused(
    world: World, partner: str, fields: dict[str, str | None], named: str
) -> None:
    await world.partner("other")
    made, _ = await create(world, name="Widget", description="d")
    world.published.clear()
    with pytest.raises(RuleViolation) as refusal:
        await create(world, partner, **fields)
    assert str(refusal.value) == f"Product 'widget' exists with another {named}."
    assert world.published == []
    async with transaction(world.engine, readonly=True) as connection:
        assert await products.read(connection, made.id) == made


async def test_name_and_description_can_change(world: World) -> None:
    made, _ = await create(world, name="Widget", description="d")
    async with world.unit_of_work() as uow:
        changed = await products.change(uow, made.id, {"description": None})
    assert (changed.name, changed.description, changed.partner_id) == ("Widget", None, made.partner_id)
    async with transaction(world.engine, readonly=True) as connection:
        assert [each.external_id for each in await products.read_page(connection, after="crm", limit=9)] == [
            "erp",
            "widget",
        ]
        assert await products.exists(connection, made.id)
        assert not await products.exists(connection, product_uuid("gadget"))
