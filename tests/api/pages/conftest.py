"""An installation with its people, each in a browser of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.office import SELLER, TAXED, Office
from tests.api.pages.browser import Browser
from tests.api.world import make_masters
from tests.people import new_person, session_headers

BrowserOf = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def office(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings) -> Office:
    """Acme with all that a bill needs."""
    await make_masters(client, **TAXED)
    assert (await client.put("/api/seller", json=SELLER)).is_success
    return Office(client, engine, policies, settings)


@pytest.fixture
async def browser_of(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[BrowserOf]:
    """Makes browsers; with a name somebody new has signed in, with the role or without one."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:

        async def open_browser(name: str = "", role: Role | None = None, partner: str | None = None) -> Browser:
            client = httpx.AsyncClient(transport=transport, base_url="http://leadger")
            if name:
                headers = await session_headers(engine, await new_person(engine, name, role, partner))
                cookie, _, token = headers["Cookie"].partition("=")
                client.cookies.set(cookie, token)
            return Browser(await stack.enter_async_context(client))

        yield open_browser
