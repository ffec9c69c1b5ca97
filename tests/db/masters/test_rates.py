"""The rules of the rate card as they are stored (R5)."""

from datetime import UTC, datetime

from db.core.engine import transaction
from db.core.row_keys import partner_uuid, product_uuid
from db.masters import rates
from db.masters.rates import NewRate, StoredRate
from tests.world import World

NEW = NewRate(
    partner_id=partner_uuid("acme"),
    product_id=product_uuid("crm"),
    lead_type="Straße",
    action_type="Click",
    engagement_level="High",
    amount_minor=None,
    effective_from=datetime(2024, 4, 1, tzinfo=UTC),
)


async def test_r5_a_rule_is_read_as_it_was_stored_and_stored_once(world: World) -> None:
    async with world.unit_of_work() as uow:
        rule_id = await rates.insert(uow.connection, NEW)
        assert rule_id is not None
        assert await rates.insert(uow.connection, NEW) is None
        stored = await rates.read(uow.connection, rule_id)
        (newest,) = await rates.read_page(uow.connection, after=rule_id - 1, limit=9)
        assert await rates.read(uow.connection, rule_id + 10) is None
    assert stored is not None
    assert (
        stored
        == newest
        == StoredRate(rule_id, "acme", "crm", "Straße", "Click", "High", None, NEW.effective_from, stored.created_at)
    )


async def test_r16_a_rule_affects_the_partners_that_it_can_price(world: World) -> None:
    acme, other = world.partners["acme"], await world.partner("other")
    crm = product_uuid("crm")
    async with transaction(world.engine, readonly=True) as connection:
        assert set(await rates.affected_partners(connection, None, None)) == {acme, other}
        assert await rates.affected_partners(connection, other, None) == [other]
        assert await rates.affected_partners(connection, None, crm) == [acme]
        assert await rates.affected_partners(connection, acme, crm) == [acme]
        assert await rates.affected_partners(connection, other, crm) == []
