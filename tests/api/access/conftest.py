"""Browsers in which people have signed in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from db.access.users import User
from tests.people import session_headers

BrowserOf = Callable[[User | None], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def browser_of(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[BrowserOf]:
    """Makes a browser in which a person has signed in, or nobody has."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:

        async def browser(user: User | None) -> httpx.AsyncClient:
            headers = await session_headers(engine, user) if user else {}
            opened = httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers)
            return await stack.enter_async_context(opened)

        yield browser
