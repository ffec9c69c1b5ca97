"""The database itself refuses wrong states, whoever writes them."""

import asyncpg
import pytest

from db.core.engine import transaction
from tests.builders import lead
from tests.world import World

AN_ACTION = """
    INSERT INTO actions SELECT gen_random_uuid(), lead_id, partner_id, customer_id, product_id, action_type,
        engagement_level, occurred_at, 7, duplicate_key, own_period, billing_period, rate_rule_id, value_minor,
        billed_minor, standing, outcome, NULL FROM actions LIMIT 1
"""


async def refused(world: World, statement: str) -> None:
    async with transaction(world.engine) as connection:
        before = await connection.fetch("SELECT * FROM actions ORDER BY id")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with transaction(world.engine) as connection:
            await connection.execute(statement)
    async with transaction(world.engine) as connection:
        assert await connection.fetch("SELECT * FROM actions ORDER BY id") == before


_FROZEN = (
    AN_ACTION,
    "UPDATE actions SET billed_minor = 0, outcome = 'duplicate'",
    "UPDATE actions SET billing_period = 202405",
    "UPDATE actions SET standing = 'held'",
    "DELETE FROM actions",
)


async def test_r11_a_frozen_verdict_is_never_written(world: World, subtests: pytest.Subtests) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    for statement in _FROZEN:
        with subtests.test(statement):
            await refused(world, statement)


async def test_r11_nothing_moves_into_a_closed_period(world: World) -> None:
    await world.send(lead(None, ("Click", "High", "2024-05-10T00:00:00Z"), customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    await refused(world, "UPDATE actions SET own_period = 202404, billing_period = 202404")


_WRONG_STATES = (
    "UPDATE actions SET billed_minor = billed_minor + 1",
    "UPDATE actions SET value_minor = -1, billed_minor = -1",
    "UPDATE actions SET outcome = 'capped', billed_minor = 1",
    "UPDATE actions SET outcome = 'partly_billed'",
    "UPDATE actions SET outcome = 'duplicate'",
    "UPDATE actions SET billing_period = 202403",
    "UPDATE actions SET occurrence = -1",
    "UPDATE actions SET lead_id = gen_random_uuid()",
    "UPDATE customer_periods SET billed_minor = billed_minor + 1",
    "UPDATE customer_periods SET gross_minor = -1000, billed_minor = -1000",
    "UPDATE customer_periods SET actions = actions + 1",
    "UPDATE product_periods SET duplicate_savings_minor = 1",
    "INSERT INTO winners SELECT duplicate_key, slot, released_from, gen_random_uuid(), partner_id, customer_id,"
    " billing_period, own_period, occurred_at FROM winners",
    "INSERT INTO leads SELECT * FROM leads",
    "INSERT INTO leads SELECT gen_random_uuid(), source, 'other', partner_id, gen_random_uuid(), customer_id,"
    " lead_type, created_at, received_at FROM leads",
    "INSERT INTO leads SELECT gen_random_uuid(), source, 'other', gen_random_uuid(), product_id, customer_id,"
    " lead_type, created_at, received_at FROM leads",
    "INSERT INTO leads SELECT gen_random_uuid(), source, 'other', partner_id, product_id, gen_random_uuid(),"
    " lead_type, created_at, received_at FROM leads",
    AN_ACTION.replace("lead_id,", "gen_random_uuid(),", 1),
    "INSERT INTO customer_states SELECT gen_random_uuid(), customer_id, 1 FROM customer_states",
    "INSERT INTO customer_states SELECT partner_id, gen_random_uuid(), 1 FROM customer_states",
    "UPDATE customer_states SET customer_id = gen_random_uuid()",
    "UPDATE products SET partner_id = gen_random_uuid()",
    "UPDATE customers SET id = gen_random_uuid()",
    "UPDATE leads SET product_id = gen_random_uuid()",
    "UPDATE leads SET customer_id = gen_random_uuid()",
    "UPDATE partners SET currency = 'eur'",
    "UPDATE partners SET closed_through = 202413",
    "UPDATE partner_terms SET cap_minor = -1",
    "UPDATE partner_terms SET dedup_window = 'days'",
    "UPDATE partner_terms SET dedup_days = 3",
    "UPDATE partner_terms SET cap_scope = 'weekly'",
    "UPDATE periods SET ends_at = starts_at",
    "INSERT INTO customers SELECT gen_random_uuid(), 'other', name, email, created_at FROM customers LIMIT 1",
    "INSERT INTO rates (level_key, amount_minor) VALUES ('high', 1)",
    "INSERT INTO rates (level_key, amount_minor) VALUES ('higher', 1)",
    "INSERT INTO rates (action_type_key, amount_minor) VALUES ('x', -1)",
    "UPDATE inbox SET done_at = NULL",
    "DELETE FROM products",
    "DELETE FROM customers",
    "DELETE FROM leads",
)


async def test_r9_a_wrong_state_is_refused(world: World, subtests: pytest.Subtests) -> None:
    await world.send(lead(customer="ann", product="crm"))
    for statement in _WRONG_STATES:
        with subtests.test(statement):
            await refused(world, statement)


async def test_r11_an_action_is_credited_once_and_never_below_zero(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    await world.return_action(("", "a", "Click", "High", "2024-04-10T09:00:00Z", 1))
    await refused(world, "INSERT INTO credits SELECT * FROM credits")
    await refused(world, "UPDATE credits SET amount_minor = -1")
    await refused(world, "UPDATE credits SET action_id = gen_random_uuid()")
