"""Keys that are bound to a partner: they see and do nothing else, and what is another's is as what does not exist."""

from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Permission
from db.access import api_keys
from db.core.engine import transaction
from db.ledger.policies import Policies
from tests.api.access.test_permissions import NEEDED, PUBLIC, routes_of
from tests.api.world import Json, check_problem, decide, get, lead, make, make_masters, row_counts

OPEN = {
    "post_leads": "POST /leads",
    "list_partners": "GET /api/partners",
    "get_partner": "GET /api/partners/{partner}",
    "list_terms": "GET /api/partners/{partner}/terms",
    "list_products": "GET /api/products",
    "get_product": "GET /api/products/{product}",
    "list_rates": "GET /api/rate-cards",
}
"""The routes that keep to the partner of a bound key; each is tried below. All others refuse such keys."""


@pytest.fixture
async def bound(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key is bound to acme; beside it there is a partner other with a product gadget."""
    await make_masters(client)
    await make(client, "partners", external_id="other", name="Other")
    await make(client, "products", external_id="gadget", partner="other", name="Gadget")
    for partner in ("acme", "other"):
        await make(client, "rate-cards", partner=partner, action_type="Demo", amount="9.00")
    made = await make(client, "keys", name="bound", scopes=["ingest", "read"], partner="acme")
    assert made["partner"] == "acme"
    headers = {"Authorization": f"Bearer {made['key']}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as opened:
        yield opened


async def test_every_other_route_refuses_bound_keys(
    app: FastAPI, bound: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    before = await row_counts(engine)
    wrong, refused = [], set()
    for route in routes_of(app):
        needed = NEEDED[route.name]
        if needed is PUBLIC or route.name in OPEN:
            continue
        detail = f"This key has the scopes ingest, read; {str(needed)!r} is needed here."
        if needed in (Permission.INGEST, Permission.READ):
            detail = "This key is bound to a partner, and what is asked for is not open to such keys."
            refused.add(route.name)
        for response in (await route.send(bound), await route.send_invalid(bound)):
            if (response.status_code, response.json().get("detail")) != (403, detail):
                wrong.append((route, response.status_code, response.text))
    assert wrong == []
    assert {"list_leads", "get_lead", "get_action", "list_customers", "list_reports", "get_task"} <= refused
    assert await row_counts(engine) == before


async def test_what_is_another_partners_is_as_what_does_not_exist(bound: httpx.AsyncClient) -> None:
    for path, kind, own, foreign in (
        ("/api/partners/{}", "partner", "acme", "other"),
        ("/api/partners/{}/terms", "partner", "acme", "other"),
        ("/api/products/{}", "product", "widget", "gadget"),
        ("/api/partners?partner={}", "partner", "acme", "other"),
        ("/api/products?product={}", "product", "widget", "gadget"),
        ("/api/rate-cards?partner={}", "partner", "acme", "other"),
    ):
        assert (await bound.get(path.format(own))).status_code == 200, path
        for unseen in (foreign, "nobody"):
            document = check_problem(await bound.get(path.format(unseen)), 404)
            assert document["detail"] == f"There is no {kind} {unseen!r}."
    assert [each["external_id"] for each in (await get(bound, "/api/partners"))["items"]] == ["acme"]
    assert [each["external_id"] for each in (await get(bound, "/api/products"))["items"]] == ["widget"]
    rates = (await get(bound, "/api/rate-cards"))["items"]
    assert {each["partner"] for each in rates} == {None, "acme"}


async def test_a_bound_key_sends_leads_for_its_products_only(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    before = await row_counts(engine)
    for unseen in ("gadget", "nothing"):
        for query in ("", "?partial=true"):
            sent = [lead("1"), lead("2", product_id=unseen)]
            document = check_problem(await bound.post(f"/leads{query}", json=sent), 400)
            assert document["detail"] == (
                f"Nothing was accepted: no product {unseen!r} is known to the partner of this key."
            )
            assert document["errors"] == [{"pointer": "#", "detail": f"names the unknown product {unseen!r}"}]
    refused = check_problem(await bound.post("/leads?dry_run=true", json=lead("1")), 403)
    assert refused["detail"] == "This key is bound to a partner, and what is asked for is not open to such keys."
    assert await row_counts(engine) == before
    accepted = await bound.post("/leads", json=[lead("1")])
    assert accepted.status_code == 202
    await decide(engine, policies)
    assert (await get(client, "/leads/1"))["state"] == "done"


async def test_a_bound_key_stays_bound(
    app: FastAPI, bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    listed = next(each for each in (await get(client, "/api/keys"))["items"] if each["name"] == "bound")
    assert listed["partner"] == "acme"
    rotated = (await client.post(f"/api/keys/{listed['key_id']}/rotate", json={})).json()
    headers = {"Authorization": f"Bearer {rotated['key']}"}
    check_problem(await client.get("/api/partners/other", headers=headers), 404)
    assert (await client.get("/api/partners/acme", headers=headers)).status_code == 200
    async with transaction(engine, readonly=True) as connection:
        # A release that knows no bound keys looks for the plain hash, and must not take it for a key of all partners.
        plain = sha256(rotated["key"].encode()).digest()
        assert await connection.fetchval("SELECT count(*) FROM api_keys WHERE key_hash = $1", plain) == 0
        found = await api_keys.find_valid(connection, rotated["key"])
    assert found is not None
    assert (str(found.id), found.partner) == (rotated["key_id"], "acme")


@pytest.mark.parametrize("scope", ["bill", "pricing", "metrics", "admin"])
async def test_a_bound_key_has_no_scope_for_the_installation(
    client: httpx.AsyncClient, engine: AsyncEngine, scope: str
) -> None:
    await make_masters(client)
    before = await row_counts(engine)
    asked: Json = {"name": "x", "scopes": ["read", scope], "partner": "acme"}
    document = check_problem(await client.post("/api/keys", json=asked), 409)
    assert document["detail"] == "A key that is bound to a partner has no scopes but ingest and read."
    check_problem(await client.post("/api/keys", json={"name": "x", "scopes": ["read"], "partner": "nobody"}), 404)
    assert await row_counts(engine) == before
