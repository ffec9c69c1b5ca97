"""What would surprise somebody once a month is closed is named before, partner by partner."""

from dataclasses import asdict
from typing import Any

from db.core.engine import transaction
from db.runs import pre_close
from tests.builders import lead
from tests.world import World

APRIL = 202404
CLICK = ("Click", "High", "2024-04-10T09:00:00Z")


async def findings(world: World) -> dict[str, dict[str, Any]]:
    """What is found of each partner, without what is as it should be."""
    async with transaction(world.engine, readonly=True) as connection:
        found, of_everybody = await pre_close.page(connection, APRIL, after="", limit=10)
    named = {each.partner: asdict(each) for each in found}
    assert [each.partner for each in found if each.is_fine] == [
        partner for partner, each in named.items() if not any(each[name] for name in each if name not in _FINE)
    ]
    return {
        partner: {name: value for name, value in each.items() if name != "partner" and value}
        for partner, each in (named | {"everybody": asdict(of_everybody)}).items()
    }


_FINE = ("partner", "only_shipped_prices")


async def test_each_finding_is_named_where_it_belongs_and_nowhere_else(world: World) -> None:
    await world.partner("globex")
    await world.product("gps", "globex")
    await world.rate("12.00", partner="globex")
    await world.send(lead("1", CLICK, customer="ann", product="crm"), lead("2", CLICK, customer="ann", product="gps"))
    await world.settle()
    as_shipped = {"only_shipped_prices": True}
    assert await findings(world) == {"acme": as_shipped, "globex": {}, "everybody": {}}

    assert await world.hold(("", "1", *CLICK, 1))
    assert await findings(world) == {"acme": as_shipped | {"held": 1}, "globex": {}, "everybody": {}}
    await world.send(lead("3", CLICK, customer="nobody", product="gps"), lead("4", CLICK, customer="bob", product="no"))
    assert await world.terms("globex", "2024-04", cap="5.00")
    await world.accept(lead("5", CLICK, customer="bob", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO billing_terms (partner_id, from_period, monthly_api_limit, overage_unit_cost)
            SELECT id, 202404, 100, 0.01 FROM partners WHERE external_id = 'acme'
            """
        )
        await connection.execute(
            """
            WITH run AS (
                INSERT INTO billing_runs (id, trigger, dry_run, who_kind, who_name)
                SELECT gen_random_uuid(), 'api', dry_run, 'system', 'system' FROM unnest('{t,f}'::bool[]) AS dry_run
                RETURNING id
            )
            INSERT INTO billing_run_items (id, run_id, partner_id, period, portion, actions, outcome, finished_at)
            SELECT gen_random_uuid(), run.id, partners.id, 202404, 0, 1, 'failed', now()
            FROM run, partners WHERE external_id = 'acme'
            """
        )
    assert await findings(world) == {
        "acme": as_shipped | {"waiting": 1, "held": 1, "usage_missing": True, "dead_letters": 1},
        "globex": {"quarantined": 1, "stale": 1},
        "everybody": {"unknown_product": 1},
    }
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor)
            SELECT gen_random_uuid(), id, 202404, 'EUR', 'draft', '', '', 0, 0 FROM partners WHERE external_id = 'acme'
            """
        )
    assert (await findings(world))["acme"] == as_shipped | {"waiting": 1, "held": 1, "usage_missing": True}
