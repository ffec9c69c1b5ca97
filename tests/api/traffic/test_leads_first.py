"""Beside leads, answers are made one after the other with rests between them, and threads rest, too."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from api.traffic import leads_first
from api.traffic.leads_first import LeadsFirst
from tests.api.world import accept, lead, make_masters

_TOOK_S = 0.04


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> LeadsFirst:
    monkeypatch.setattr(leads_first, "COME_S", 60.0)
    return LeadsFirst()


async def answer(first: LeadsFirst, making: list[int]) -> None:
    """Note how many answers are made at a time."""
    async with first.turn():
        making.append(making[-1] + 1 if making else 1)
        await asyncio.sleep(_TOOK_S)
        making.append(making[-1] - 1)


async def test_beside_leads_one_answer_is_made_at_a_time_with_a_rest_after_each(first: LeadsFirst) -> None:
    first.come()
    making: list[int] = []
    began = time.monotonic()
    await asyncio.gather(*(answer(first, making) for _ in range(3)))
    assert max(making) == 1
    assert time.monotonic() - began > 7 * _TOOK_S * 0.9  # three answers, and a rest of two after two of them


async def test_without_leads_no_answer_waits(first: LeadsFirst) -> None:
    making: list[int] = []
    await asyncio.gather(*(answer(first, making) for _ in range(3)))
    assert max(making) == 3


async def test_an_answer_that_takes_long_does_not_hold_up_the_others(
    first: LeadsFirst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leads_first, "LONGEST_WAIT_S", 0.02)
    first.come()
    ended = asyncio.Event()

    async def takes_long() -> None:
        async with first.turn():
            await ended.wait()

    long = asyncio.create_task(takes_long())
    await asyncio.sleep(0)
    async with first.turn():
        assert not long.done()
    ended.set()
    await long


async def test_an_answer_that_fails_ends_its_turn(first: LeadsFirst) -> None:
    first.come()
    with pytest.raises(LookupError):
        async with first.turn():
            raise LookupError
    making: list[int] = []
    await answer(first, making)
    assert making == [1, 0]


def test_beside_leads_a_thread_rests_twice_as_long_as_it_worked(first: LeadsFirst) -> None:
    rest = first.rests()
    began = time.monotonic()
    time.sleep(_TOOK_S)
    rest()
    alone_s = time.monotonic() - began
    first.come()
    rest = first.rests()
    began = time.monotonic()
    time.sleep(_TOOK_S)
    rest()
    assert time.monotonic() - began >= 3 * _TOOK_S
    assert alone_s < 2 * _TOOK_S


async def test_small_requests_of_leads_are_noted_and_a_get_takes_its_turn(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leads_first, "COME_S", 60.0)
    await make_masters(client)
    first, turns, turn = app.state.leadger.leads_first, list[bool](), app.state.leadger.leads_first.turn

    @asynccontextmanager
    async def noted() -> AsyncIterator[None]:
        turns.append(first.coming)
        async with turn():
            yield

    monkeypatch.setattr(first, "turn", noted)
    assert (await client.get("/leads")).status_code == 200
    await accept(client, lead())
    assert (await client.get("/leads/lead-1")).status_code == 200
    assert turns == [False, True]


async def test_who_reads_a_large_body_may_rest_after_each_lead_and_makes_nobody_else_rest(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)
    first, rests = app.state.leadger.leads_first, list[int]()
    monkeypatch.setattr(first, "rests", lambda: lambda: rests.append(1))
    leads = [lead(f"lead-{number}") for number in range(500)]
    await accept(client, *leads)
    assert (len(rests), first.coming) == (500, False)
    refused = await client.post("/leads", json=[*leads, lead(lead_type="")])
    assert refused.status_code == 400
    assert len(rests) == 500 + 2 * 501  # once more for names that are given twice
