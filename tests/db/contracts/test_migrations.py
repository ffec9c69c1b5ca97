"""Migrations 0028 and 0029: what a release before said of contracts and usage goes on to hold, up and down."""

import asyncio
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from db.core.migrate import downgrade, upgrade
from tests.databases import execute, url_of_database

BEFORE = """
    INSERT INTO partners (id, external_id, name, currency)
        SELECT md5(name)::uuid, name, name, 'EUR' FROM unnest(ARRAY['acme', 'plain']) AS name;
    INSERT INTO partner_terms (partner_id, from_period, cap_scope, dedup_window, monthly_api_limit,
            overage_unit_cost_minor, csm, csm_must_approve, start_date)
        VALUES (md5('acme')::uuid, 0, 'period', 'forever', NULL, NULL, 'Carla', false, NULL),
            (md5('acme')::uuid, 202404, 'period', 'forever', 1000, 5, 'Carla', true, '2024-04-01'),
            (md5('plain')::uuid, 0, 'period', 'forever', NULL, NULL, NULL, false, NULL);
    INSERT INTO usage (partner_id, period, api_calls) VALUES (md5('acme')::uuid, 202404, 7)
"""
ENTERED = """
    INSERT INTO usage (partner_id, period, source, key, entry, units, who_kind, who_name)
        VALUES (md5('acme')::uuid, 202404, 'api', 'total', 2, 8, 'system', 'system'),
            (md5('acme')::uuid, 202404, 'batch', 'x', 1, 30, 'system', 'system')
"""
TERMS = """
    SELECT external_id, from_period, monthly_api_limit, overage_unit_cost, require_csm_approval, start_date,
        payment_days FROM billing_terms JOIN partners ON id = partner_id ORDER BY 1, 2
"""


@pytest.fixture
def before(server_url: str) -> Iterator[str]:
    """A database of the release before, with terms and usage."""
    execute(server_url, "CREATE DATABASE test_contracts")
    url = url_of_database(server_url, "test_contracts")
    upgrade(url, "0027")
    execute(url, BEFORE)
    yield url
    execute(server_url, "DROP DATABASE test_contracts WITH (FORCE)")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    async def fetch() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_what_was_agreed_and_used_before_goes_on_to_hold(before: str) -> None:
    upgrade(before, "0029")
    assert rows(before, TERMS) == [
        ("acme", 0, None, None, False, None, 30),
        ("acme", 202404, 1000, Decimal("0.050000"), True, date(2024, 4, 1), 30),
    ]
    assert rows(before, "SELECT source, key, entry, units, who_name FROM usage") == [("api", "total", 1, 7, "system")]
    execute(before, ENTERED)
    downgrade(before, "0027")
    assert rows(before, "SELECT period, api_calls FROM usage") == [(202404, 38)]
    assert rows(before, "SELECT csm, overage_unit_cost_minor FROM partner_terms WHERE csm_must_approve") == [
        ("Carla", 5)
    ]
