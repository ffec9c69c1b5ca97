"""Partners: creating and reading them with the terms of a period."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.terms import CapScope, DuplicateWindow
from db.contracts import reading
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.ledger.policy_changes import PartnerUpdate, change_partner
from db.masters import partners
from db.masters.partners import NewPartner, Partner
from db.masters.terms import PartnerTerms
from tests.world import World

NOW = datetime(2024, 4, 10, tzinfo=UTC)
TERMS = PartnerTerms(
    cap_minor=None,
    cap_scope=CapScope.LIFETIME,
    dedup_window=DuplicateWindow("days", 30),
)


async def test_a_partner_is_read_as_it_was_created(engine: AsyncEngine) -> None:
    world = World(engine)
    async with world.unit_of_work() as uow:
        assert await partners.create(uow, NewPartner("acme", "Acme", "a@b", "USD", "Asia/Tokyo", TERMS))
    partner_id = partner_uuid("acme")
    async with transaction(engine, readonly=True) as connection:
        found = await partners.read(connection, partner_id)
        assert await partners.exists(connection, partner_id)
        assert not await partners.exists(connection, partner_uuid("globex"))
        assert await partners.read(connection, partner_uuid("globex")) is None
    assert found is not None
    assert found == Partner(partner_id, "acme", "Acme", "a@b", "USD", "Asia/Tokyo", None, TERMS, 0, found.created_at)
    assert world.published == []


async def test_a_partner_with_a_taken_id_is_not_created(engine: AsyncEngine) -> None:
    world = World(engine)
    for new, is_new in ((NewPartner("acme", "Acme"), True), (NewPartner("acme", "Other", terms=TERMS), False)):
        async with world.unit_of_work() as uow:
            assert await partners.create(uow, new) is is_new
    async with transaction(engine, readonly=True) as connection:
        (found,) = await partners.read_page(connection, after=None, limit=10)
    assert (found.name, found.terms) == ("Acme", PartnerTerms())


async def test_terms_and_time_zone_are_those_of_the_period(world: World) -> None:
    acme = world.partners["acme"]
    update = PartnerUpdate(terms={"cap_minor": 400}, effective_period=202406, timezone="Asia/Tokyo")
    async with world.unit_of_work() as uow:
        await change_partner(uow, world.policies, acme, update, NOW)
    async with transaction(world.engine, readonly=True) as connection:
        of_period = [await partners.read(connection, acme, period) for period in (202404, 202405, 202406, None)]
        starts = await reading.starts_of_versions(connection, acme)
    assert [(each.terms.cap_minor, each.terms_since, each.timezone) for each in of_period if each] == [
        (10_000, 0, "UTC"),
        (10_000, 0, "Asia/Tokyo"),
        (400, 202406, "Asia/Tokyo"),
        (400, 202406, "Asia/Tokyo"),
    ]
    assert starts == [0, 202406]


async def test_partners_are_read_in_pages_by_external_id(engine: AsyncEngine) -> None:
    world = World(engine)
    for name in ("b", "a", "c"):
        await world.partner(name)
    async with transaction(engine, readonly=True) as connection:
        first = await partners.read_page(connection, after=None, limit=2)
        second = await partners.read_page(connection, after="b", limit=2)
    assert [[each.external_id for each in page] for page in (first, second)] == [["a", "b"], ["c"]]
