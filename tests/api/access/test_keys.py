"""API keys: no path but the public ones answers without one; they are rotated, revoked and limited in rate."""

import asyncio
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.engine import transaction
from db.core.settings import Settings
from tests.api.world import Json, accept, check_problem, get, lead, make
from tests.keys import new_key


async def _client_with(app: FastAPI, secret: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers)


async def test_without_a_key_nothing_tells_what_is_there(shared_client: httpx.AsyncClient) -> None:
    no_key = {"Authorization": ""}
    for path in ("/", "/leads", "/nothing", "/api", "/docs-of-others", "/healthy", "/openapi.json/x", "/redoc"):
        for method in ("GET", "POST", "OPTIONS", "HEAD", "DELETE", "BREW"):
            response = await shared_client.request(method, path, headers=no_key)
            assert response.status_code == 401, (method, path)
    for path in ("/health", "/ready", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
        assert (await shared_client.get(path, headers=no_key)).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "bearer leadger_x", "leadger_x", "Bearer " + "x" * 5000],
)
async def test_the_401_says_how_to_get_a_key(shared_client: httpx.AsyncClient, header: str) -> None:
    response = await shared_client.post("/leads", content=b"{", headers={"Authorization": header})
    document = check_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert document["detail"] == (
        'A valid API key is needed: send "Authorization: Bearer <key>". '
        "Make one with `leadger keys create`; `scripts/run` prints a development key. "
        "People sign in at POST /api/session."
    )


async def test_the_scheme_is_read_in_any_case(shared_client: httpx.AsyncClient, shared_key: str) -> None:
    for header in (f"bearer {shared_key}", f"BEARER  {shared_key} "):
        assert (await shared_client.get("/leads", headers={"Authorization": header})).status_code == 200


async def test_keys_are_stored_as_hashes_and_shown_once(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    made = await make(client, "keys", name="CRM", scopes=["read", "ingest", "read"])
    assert made["scopes"] == ["ingest", "read"]
    assert len(made["key"]) > 40
    async with transaction(engine) as connection:
        row = await connection.fetchrow("SELECT * FROM api_keys WHERE name = 'CRM'")
    assert row is not None
    assert row["key_hash"] == sha256(made["key"].encode()).digest()
    assert made["key"] not in repr(dict(row))
    listed = await client.get("/api/keys")
    assert made["key"] not in listed.text
    assert listed.json()["items"][0] == {
        "key_id": made["key_id"],
        "name": "CRM",
        "scopes": ["ingest", "read"],
        "partner": None,
        "maker": None,
        "created_at": listed.json()["items"][0]["created_at"],
        "expires_at": None,
        "revoked_at": None,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x", "scopes": []}, "#/scopes"),
        ({"name": "x", "scopes": ["root"]}, "#/scopes/0"),
        ({"name": "", "scopes": ["read"]}, "#/name"),
        ({"scopes": ["read"]}, "#/name"),
        ({"name": "x", "scopes": ["read"], "key": "mine"}, "#/key"),
    ],
)
async def test_what_is_no_key(shared_client: httpx.AsyncClient, body: Json, pointer: str) -> None:
    document = check_problem(await shared_client.post("/api/keys", json=body), 400)
    assert [error["pointer"] for error in document["errors"]] == [pointer]


async def test_a_revoked_key_ends_everywhere_within_two_seconds(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    made = await make(client, "keys", name="x", scopes=["read"])
    elsewhere = create_app(settings)
    async with (
        elsewhere.router.lifespan_context(elsewhere),
        await _client_with(app, made["key"]) as here,
        await _client_with(elsewhere, made["key"]) as there,
    ):
        assert (await here.get("/leads")).status_code == (await there.get("/leads")).status_code == 200
        response = await client.delete(f"/api/keys/{made['key_id']}")
        assert (response.status_code, response.content) == (204, b"")
        check_problem(await here.get("/leads"), 401)
        await asyncio.sleep(2.1)
        check_problem(await there.get("/leads"), 401)
    check_problem(await client.delete(f"/api/keys/{made['key_id']}"), 404)
    check_problem(await client.delete(f"/api/keys/{uuid4()}"), 404)
    check_problem(await client.post(f"/api/keys/{made['key_id']}/rotate", json={}), 404)


async def test_a_rotated_key_lives_on_for_the_overlap(app: FastAPI, client: httpx.AsyncClient) -> None:
    old = await make(client, "keys", name="CRM", scopes=["read", "ingest"])
    response = await client.post(f"/api/keys/{old['key_id']}/rotate", json={"overlap_s": 2})
    assert response.status_code == 201
    new = response.json()
    assert (new["replaces"], new["overlap_s"]) == (old["key_id"], 2)
    async with await _client_with(app, old["key"]) as before, await _client_with(app, new["key"]) as after:
        assert (await before.get("/leads")).status_code == (await after.get("/leads")).status_code == 200
        await accept(after, lead())
        await asyncio.sleep(4.1)
        check_problem(await before.get("/leads"), 401)
        assert (await after.get("/leads")).status_code == 200
    listed = {key["key_id"]: key for key in (await get(client, "/api/keys"))["items"]}
    assert listed[new["key_id"]]["name"] == "CRM"
    assert listed[new["key_id"]]["expires_at"] is None
    assert listed[old["key_id"]]["expires_at"] is not None
    check_problem(await client.post(f"/api/keys/{old['key_id']}/rotate", json={}), 404)
    for overlap in (-1, 10**9, "60", 1.5, True, None):
        check_problem(await client.post(f"/api/keys/{new['key_id']}/rotate", json={"overlap_s": overlap}), 400)


async def test_each_key_has_a_rate(settings: Settings, engine: AsyncEngine, admin_key: str, tmp_path: Path) -> None:
    app = create_app(settings.model_copy(update={"rate_limit_per_s": 5.0}))
    another = await new_key(engine, "another", ["read"])
    async with (
        app.router.lifespan_context(app),
        await _client_with(app, admin_key) as first,
        await _client_with(app, another) as second,
    ):
        answers = [await first.get("/leads") for _ in range(8)]
        assert [answer.status_code for answer in answers[:5]] == [200] * 5
        assert answers[-1].status_code == 429
        document = check_problem(answers[-1], 429)
        assert document["detail"] == "This key may make 5 requests a second; try again in 1 s."
        assert answers[-1].headers["retry-after"] == "1"
        assert (await second.get("/leads")).status_code == 200
        assert (await first.get("/health")).status_code == 200
        await asyncio.sleep(1)
        assert (await first.get("/leads")).status_code == 200


async def test_a_request_id_is_taken_over_or_made(shared_client: httpx.AsyncClient) -> None:
    given = await shared_client.get("/leads", headers={"X-Request-ID": "order-17.A_b"})
    assert given.headers["x-request-id"] == "order-17.A_b"
    for strange in ("a b", "x" * 65, "ä", "a\tb", "", "<script>"):
        answered = await shared_client.get("/leads", headers={b"X-Request-ID": strange.encode()})
        assert answered.headers["x-request-id"] != strange
        assert len(answered.headers["x-request-id"]) == 32
