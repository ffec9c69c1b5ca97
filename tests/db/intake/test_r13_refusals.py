"""R13: what the API refuses is named, field by field, and leaves nothing behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from db.core.engine import transaction
from tests.builders import Wire, action, lead
from tests.world import World

GOOD = lead("good", customer="ann", product="crm")


def with_timestamp(timestamp: Any) -> Wire:
    return GOOD | {"actions": [action() | {"timestamp": timestamp}]}


async def stored(world: World) -> int:
    async with transaction(world.engine) as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM inbox")
        return count


_BAD = [
    (with_timestamp("2024-04-01T10:00:00"), "#/1/actions/0/timestamp"),
    (with_timestamp(1712000000), "#/1/actions/0/timestamp"),
    (with_timestamp("2024-04-01T10:00:00.1234567Z"), "#/1/actions/0/timestamp"),
    (with_timestamp("2024-02-30T10:00:00Z"), "#/1/actions/0/timestamp"),
    (with_timestamp((datetime.now(UTC) + timedelta(hours=25)).isoformat()), "#/1/actions/0/timestamp"),
    (GOOD | {"actions": []}, "#/1/actions"),
    (GOOD | {"lead_id": ""}, "#/1/lead_id"),
    (GOOD | {"lead_id": "a" * 201}, "#/1/lead_id"),
    (GOOD | {"customer_id": 7}, "#/1/customer_id"),
    (GOOD | {"actions": [action(level="Highest")]}, "#/1/actions/0/engagement_level"),
    (GOOD | {"surprise": 1}, "#/1/surprise"),
    (GOOD | {"customer": {"name": "X", "email": "nobody"}}, "#/1/customer/email"),
    ({name: value for name, value in GOOD.items() if name != "product_id"}, "#/1/product_id"),
]


async def test_r13_a_batch_is_all_or_nothing_and_the_bad_field_is_named(
    world: World, client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for bad, pointer in _BAD:
        with subtests.test(pointer, bad=str(bad)[:100]):
            before = await stored(world)
            answer = await client.post("/leads", json=[GOOD, bad])
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
            assert [(error["pointer"], error["index"]) for error in answer.json()["errors"]] == [(pointer, 1)]
            assert await stored(world) == before
            partial = await client.post("/leads", params={"partial": "true"}, json=[GOOD, bad])
            assert (partial.status_code, partial.json()["accepted"], len(partial.json()["rejected"])) == (202, 1, 1)
            assert await stored(world) == before + 1


async def test_r13_what_is_no_list_of_leads_is_refused(
    world: World, client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    headers = {"Content-Type": "application/json"}
    for body in ("[]", "", "{", "7", '[{"lead_id": NaN}]'):
        for params in ({}, {"partial": "true"}):
            with subtests.test(body, params=params):
                answer = await client.post("/leads", content=body, params=params, headers=headers)
                assert answer.status_code == 400
                assert await stored(world) == 0


async def test_r13_instants_up_to_a_day_ahead_are_accepted(world: World, client: httpx.AsyncClient) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    assert (await client.post("/leads", json=with_timestamp(ahead))).status_code == 202
