"""The fast path: POST /leads without a query does not pass the routes, and its answers are the same."""

import gzip
import json

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from tests.api.world import action, check_problem, lead
from tests.keys import new_key

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
ONE = json.dumps(lead("one")).encode()
TWO = json.dumps([lead("one"), lead("two")]).encode()
REQUESTS = {
    "one lead": (202, ONE, JSON),
    "a list": (202, TWO, JSON),
    "no content type": (202, ONE, {}),
    "charset": (202, ONE, {"content-type": "application/json; charset=UTF-8"}),
    "lines": (202, ONE + b"\n" + ONE, LINES),
    "gzip": (202, gzip.compress(TWO), JSON | {"content-encoding": "gzip"}),
    "identity": (202, ONE, JSON | {"content-encoding": "identity"}),
    "nothing": (400, b"", JSON),
    "no leads": (400, b"[]", JSON),
    "no JSON": (400, b"{", JSON),
    "no gzip": (400, b"{}", JSON | {"content-encoding": "gzip"}),
    "a bad lead": (400, json.dumps([lead("one"), lead("two", action(level="Great"))]).encode(), JSON),
    "a name twice": (400, ONE.replace(b'"lead_id"', b'"lead_id": "zero", "lead_id"'), JSON),
    "too large": (413, b" " * 3000, JSON),
    "too large when unpacked": (413, gzip.compress(b" " * 3000), JSON | {"content-encoding": "gzip"}),
    "too many": (413, json.dumps([lead()] * 4).encode(), JSON),
    "XML": (415, b"<lead/>", {"content-type": "application/xml"}),
    "UTF-16": (415, ONE, {"content-type": "application/json; charset=utf-16"}),
    "brotli": (415, ONE, JSON | {"content-encoding": "br"}),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_body_bytes": 2500, "max_batch_leads": 3})


@pytest.mark.parametrize(("status", "body", "headers"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_both_paths_answer_the_same(
    client: httpx.AsyncClient, engine: AsyncEngine, status: int, body: bytes, headers: dict[str, str]
) -> None:
    answers, stored = [], []
    for query in ("", "?dry_run=false"):
        response = await client.post(f"/leads{query}", content=body, headers=headers | {"x-request-id": "same"})
        assert response.status_code == status, response.text
        content = response.json()
        if status == 202:
            assert response.headers["location"] == content.pop("status_url")
            assert response.headers.pop("location").endswith(content.pop("batch_id"))
        answers.append((content, dict(response.headers)))
        stored.append(await _stored(engine))
    assert answers[0] == answers[1]
    assert stored == [content.get("accepted", 0) * times for times in (1, 2)]


async def test_both_paths_check_the_permission_before_the_body(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    reader = await new_key(engine, "reader", ["read"])
    for query in ("", "?dry_run=true"):
        headers = {"Authorization": f"Bearer {reader}"}
        document = check_problem(await client.post(f"/leads{query}", content=b"{", headers=headers), 403)
        assert document["detail"] == "This key has the scopes read; 'ingest' is needed here."
        check_problem(await client.post(f"/leads{query}", content=b"{", headers={"Authorization": ""}), 401)
    assert await _stored(engine) == 0


async def test_only_post_leads_without_a_query_takes_the_fast_path(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app.router, "middleware_stack", closed)
    assert (await client.post("/leads", content=ONE, headers=JSON)).status_code == 202
    assert (await client.post("/leads?", content=ONE, headers=JSON)).status_code == 202
    for method, path in (("POST", "/leads?partial=true"), ("GET", "/leads"), ("PUT", "/leads"), ("POST", "/leads/")):
        check_problem(await client.request(method, path, content=ONE, headers=JSON), 500)


async def _stored(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        count: int = await connection.fetchval("SELECT coalesce(sum(lead_count), 0)::int FROM inbox")
        return count
