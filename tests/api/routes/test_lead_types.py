"""R1: `?lead_type=` folds as everything else does."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.ledger.policies import Policies
from tests.api.world import action, bill, get_all, lead, make_masters

TYPES = ["Straße", "ΟΔΟΣ", "İzmir", "izmir", "Website Visit"]


@pytest.fixture(scope="module")
async def typed(shared_client: httpx.AsyncClient, shared_engine: AsyncEngine) -> None:
    await make_masters(shared_client)
    leads = [lead(str(number), action(f"T{number}"), lead_type=kind) for number, kind in enumerate(TYPES)]
    await bill(shared_client, shared_engine, Policies(), *leads)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("STRASSE", "0"),
        ("strasse", "0"),
        ("Stra\u00adẞE\u00a0", "0"),
        ("οδος", "1"),
        ("οδοσ", "1"),
        ("i\u0307ZMIR", "2"),
        ("IZMIR", "3"),
        ("ızmir", ""),
        ("\ufeffwebsite\u2003 VISIT", "4"),
        ("website", ""),
        ("%", ""),
    ],
)
async def test_r1_lead_types_in_queries_fold_like_everywhere(
    shared_client: httpx.AsyncClient, typed: None, asked: str, found: str
) -> None:
    for more in ({}, {"customer": "anna", "product": "widget", "outcome": "billed", "start_date": "2024-01-01"}):
        leads = await get_all(shared_client, "/leads", limit=1, lead_type=asked, **more)
        assert "".join(each["lead_id"] for each in leads) == found
