"""What the tests of routes share."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.office import SELLER, TAXED, Office
from tests.api.world import make_masters


@pytest.fixture
async def office(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings) -> Office:
    await make_masters(client, **TAXED)
    assert (await client.put("/api/seller", json=SELLER)).status_code == 200
    return Office(client, engine, policies, settings)
