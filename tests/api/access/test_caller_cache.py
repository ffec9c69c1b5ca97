"""A secret that is in use is looked up again before its time ends: no request waits for that."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import caller_cache
from api.access.caller_cache import CallerCache
from api.access.valid_secrets import ValidSecrets
from api.traffic.unknown_keys import UnknownKeys
from db.access import api_keys


async def test_who_is_known_waits_for_no_look_up_and_is_still_forgotten_in_time(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_cache, "TIME_TO_LIVE_S", 1.2)
    caller: Any = object()
    found, may_answer, looked_up = [caller, None], asyncio.Event(), 0

    async def find(_: asyncpg.Connection, __: str) -> Any:
        nonlocal looked_up
        looked_up += 1
        await may_answer.wait()
        return found[looked_up - 1]

    keys = CallerCache(engine, UnknownKeys(), find, ValidSecrets(engine, api_keys.valid_hashes))
    may_answer.set()
    assert await keys.find("secret", "192.0.2.1") is caller
    may_answer.clear()
    await asyncio.sleep(0.3)
    for _ in range(5):
        assert await asyncio.wait_for(keys.find("secret", "192.0.2.1"), 0.1) is caller
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    assert looked_up == 2
    may_answer.set()
    await asyncio.sleep(0.2)
    assert await keys.find("secret", "192.0.2.1") is None
    assert looked_up == 2
