"""API keys for tests."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from db.access import api_keys
from db.core.unit_of_work import publish_nothing, unit_of_work


async def new_key(engine: AsyncEngine, name: str = "tests", scopes: Sequence[str] = api_keys.SCOPES) -> str:
    """The secret of a new API key."""
    async with unit_of_work(engine, publish_nothing) as uow:
        return (await api_keys.create(uow, name, scopes)).secret
