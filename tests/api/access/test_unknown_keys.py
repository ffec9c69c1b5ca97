"""Keys that nobody knows cost the database little, however many come."""

import asyncio
import collections
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import valid_secrets
from api.problems import Problem
from api.traffic.unknown_keys import UnknownKeys
from db.access import api_keys
from db.core.engine import transaction
from tests.keys import new_key


async def test_unknown_keys_are_looked_up_a_few_times_and_valid_ones_go_on(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, find_valid = [], api_keys.find_valid

    async def counting(connection: Any, secret: str) -> Any:
        looked_up.append(secret)
        return await find_valid(connection, secret)

    monkeypatch.setattr(api_keys, "find_valid", counting)
    assert (await client.get("/leads")).status_code == 200
    looked_up.clear()
    statuses = collections.Counter[int]()
    for number in range(300):
        answer = await client.get("/leads", headers={"Authorization": f"Bearer unknown-{number}"})
        statuses[answer.status_code] += 1
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
        assert (await client.get("/leads/batches?limit=1")).status_code == 200  # its key was valid a moment ago
    unknown = [secret for secret in looked_up if secret.startswith("unknown")]
    assert set(statuses) == {401, 429}
    assert len(unknown) == statuses[401] < 200
    elsewhere = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    secret = await new_key(engine, "new", ["read"])
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://leadger") as other:
        assert (await other.get("/leads", headers={"Authorization": f"Bearer {secret}"})).status_code == 200


async def test_a_new_key_gets_in_beside_a_flood_of_unknown_ones_from_its_own_address(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: whoever shared an address with the flood was refused until it ended."""
    reads = 0

    def counting(engine: AsyncEngine) -> AbstractAsyncContextManager[asyncpg.Connection]:
        nonlocal reads
        reads += 1
        return transaction(engine)

    async def try_key(secret: str) -> int:
        return (await client.get("/leads", headers={"Authorization": f"Bearer {secret}"})).status_code

    def refuse(*_: Any) -> None:
        raise Problem(429, "Others took whatever the address may.")

    monkeypatch.setattr(valid_secrets, "transaction", counting)
    flood = await asyncio.gather(*(try_key(f"unknown-{number}") for number in range(100)))
    assert set(flood) == {401, 429}
    monkeypatch.setattr(UnknownKeys, "spend", refuse)
    new = await new_key(engine, "new", ["read"])
    deadline = time.monotonic() + 5
    while await try_key(new) == 429:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert await try_key(new) == 200
    assert reads == 2


async def test_one_unknown_key_is_looked_up_once(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []

    async def counting(_: Any, secret: str) -> None:
        looked_up.append(secret)

    monkeypatch.setattr(api_keys, "find_valid", counting)
    for _ in range(100):
        assert (await client.get("/leads", headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert 1 <= len(looked_up) <= 3


async def test_a_crowd_with_one_new_key_is_one_look_up(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: after a start the first requests of a valid key counted as look-ups of unknown ones."""
    looked_up, find_valid = [], api_keys.find_valid

    async def counting(connection: Any, secret: str) -> Any:
        looked_up.append(secret)
        return await find_valid(connection, secret)

    monkeypatch.setattr(api_keys, "find_valid", counting)
    headers = {"Authorization": f"Bearer {await new_key(engine, 'new', ['read'])}"}
    crowd = await asyncio.gather(*(client.get("/api/tasks", headers=headers) for _ in range(120)))
    assert {answer.status_code for answer in crowd} == {200}
    assert len(looked_up) == 1


async def test_a_look_up_that_fails_is_no_unknown_key(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: while Postgres was away, a valid key got 429 instead of 503."""

    async def fail(*_: Any) -> None:
        raise ConnectionError("Postgres is away")

    with monkeypatch.context() as patch:
        patch.setattr(api_keys, "find_valid", fail)
        answers = [await client.get("/leads") for _ in range(100)]
    assert {answer.status_code for answer in answers} == {503}
    assert (await client.get("/leads")).status_code == 200


def test_a_look_up_that_finds_a_key_costs_nothing_and_few_addresses_are_remembered() -> None:
    limit = UnknownKeys()
    for _ in range(1000):
        limit.spend("a")
        limit.give_back("a")
    refused = 0
    for _ in range(100):
        try:
            limit.spend("a")
        except Problem:
            refused += 1
    assert 45 <= refused <= 50
    for number in range(10_001):
        limit.spend(str(number))
    limit.spend("a")  # forgotten among so many
