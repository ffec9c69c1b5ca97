"""A process holds a bounded number of bytes of request bodies, and no key takes all of them."""

import gzip
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import Problem
from api.traffic.body_budget import BodyBudget, HeldBytes
from api.traffic.concurrency import LARGE_BYTES
from tests.api.world import check_problem, lead, row_counts

ONE, ANOTHER = uuid4(), uuid4()
MEGABYTE = 1024 * 1024


def test_a_key_takes_two_of_three_parts() -> None:
    budget = BodyBudget(100)
    budget.take(ONE, 200)
    with pytest.raises(Problem) as refusal:
        budget.take(ONE, 1)
    assert (refusal.value.status_code, refusal.value.headers) == (429, {"Retry-After": "1"})
    budget.take(ANOTHER, 100)
    with pytest.raises(Problem):
        budget.take(ANOTHER, 1)
    assert (budget.held_bytes, budget.refused) == (300, 2)
    budget.give_back(ONE, 200)
    budget.take(ANOTHER, 1)
    assert budget.held_bytes == 101


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 120)), max_size=40))
def test_what_is_held_never_exceeds_the_budget_and_all_of_it_is_given_back(steps: list[tuple[int, int]]) -> None:
    budget = BodyBudget(100, not_counted=0)
    requests = [HeldBytes(budget, key) for key in (ONE, ONE, ANOTHER, uuid4())]
    sizes = [0] * 4
    for index, size in steps:
        try:
            requests[index].add(size)
            sizes[index] += size
        except Problem:
            requests[index].release()
            sizes[index] = 0
        assert budget.held_bytes == sum(sizes) <= 300
        assert sizes[0] + sizes[1] <= 200
    for request in requests:
        request.release()
    assert budget.held_bytes == 0


@pytest.mark.parametrize("path", ["/leads", "/leads?partial=true", "/leads?dry_run=true", "/api/partners"])
@pytest.mark.parametrize("packed", [False, True])
async def test_beyond_the_budget_is_429_and_nothing_is_written(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, path: str, packed: bool
) -> None:
    budget = app.state.leadger.body_budget
    budget.take(ONE, 32 * MEGABYTE)
    budget.take(ANOTHER, 16 * MEGABYTE)
    before = await row_counts(engine)
    body = b'{"lead_type": "' + b"x" * LARGE_BYTES + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:1000]
        yield body[1000:]

    content = gzip.compress(body) if packed else chunks()
    headers = {"content-encoding": "gzip"} if packed else {}
    answer = await client.post(path, content=content, headers={"content-type": "application/json"} | headers)
    document = check_problem(answer, 429)
    assert document["detail"] == (
        "Too many bytes of request bodies are under way here: nothing was stored, try again in 1 s, with fewer large "
        "requests at a time."
    )
    assert answer.headers["retry-after"] == "1"
    assert await row_counts(engine) == before
    assert (await client.post("/leads", json=lead("small"))).status_code == 202
    budget.give_back(ONE, 32 * MEGABYTE)
    assert (
        await client.post(path, content=gzip.compress(body), headers={"content-encoding": "gzip"})
    ).status_code != 429
    assert budget.held_bytes == 16 * MEGABYTE
    assert 'leadger_requests_refused_total{reason="body_bytes"} 1.0' in (await client.get("/metrics")).text


def test_large_bodies_of_some_never_keep_small_ones_of_others_out() -> None:
    """Failed before: three uploads that stopped halfway refused single leads of every other key."""
    budget = BodyBudget(1_000_000)
    for key in (ONE, ONE, ANOTHER):
        HeldBytes(budget, key).add(1_064 * 1024 - 65_000)
    with pytest.raises(Problem):
        HeldBytes(budget, uuid4()).add(200_000)
    small = HeldBytes(budget, uuid4())
    for _ in range(60):
        small.add(1024)
    small.release()


@pytest.mark.parametrize("status", [202, 400, 413])
async def test_an_answered_request_holds_nothing(app: FastAPI, client: httpx.AsyncClient, status: int) -> None:
    bodies = {202: [lead(str(n)) for n in range(1000)], 400: ["?" * LARGE_BYTES], 413: [1] * 200_000}
    assert (await client.post("/leads", json=bodies[status])).status_code == status
    assert app.state.leadger.body_budget.held_bytes == 0
