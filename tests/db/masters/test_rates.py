"""The rules of the rate card as they are stored (R5)."""

from datetime import UTC, datetime

from billing.rate_starts import Span
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
    start=datetime(2024, 4, 1, tzinfo=UTC),
)


async def test_r5_a_rule_is_read_as_it_was_stored(world: World) -> None:
    acme = world.partners["acme"]
    async with world.unit_of_work() as uow:
        rule_id = await rates.insert(uow.connection, NEW, {acme: 202405}, "key")
        assert await rates.in_force(uow.connection, NEW) == rule_id
        stored = await rates.read(uow.connection, rule_id)
        (newest,) = await rates.read_page(uow.connection, after=rule_id - 1, limit=9, partner_id=acme)
        assert await rates.read(uow.connection, rule_id + 10) is None
        await rates.end(uow.connection, rule_id, {acme: 202406}, "other")
        assert await rates.in_force(uow.connection, NEW) is None
        assert await rates.read_page(uow.connection, after=rule_id - 1, limit=9) == []
        (ended,) = await rates.read_page(uow.connection, after=rule_id - 1, limit=9, partner_id=acme, ended=True)
    assert stored is not None
    spans = {acme: Span(202405)}
    assert stored == newest == StoredRate(rule_id, NEW, "acme", "crm", stored.created_at, "key", spans=spans)
    assert ended.ended_at is not None
    assert (ended.ended_by, ended.spans) == ("other", {acme: Span(202405, 202406)})


async def test_r16_a_rule_affects_the_partners_that_it_can_price(world: World) -> None:
    acme, other = world.partners["acme"], await world.partner("other")
    crm = product_uuid("crm")
    async with transaction(world.engine, readonly=True) as connection:
        assert set(await rates.affected_partners(connection, None, None)) == {acme, other}
        assert await rates.affected_partners(connection, other, None) == [other]
        assert await rates.affected_partners(connection, None, crm) == [acme]
        assert await rates.affected_partners(connection, acme, crm) == [acme]
        assert await rates.affected_partners(connection, other, crm) == []
