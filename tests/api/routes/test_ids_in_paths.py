"""R1: every id is reachable, also one that is a word of a path; only one form of a UUID is a UUID."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.ledger.policies import Policies
from tests.api.world import accept, action, bill, check_problem, get, lead, make, make_masters

WORDS = ["batches", "batches/x", "a/b", "?", "100%", "..", "é ü", "batches/0f8fad5b-d9cb-469f-a165-70867728950e"]


@pytest.fixture(scope="module")
async def words(shared_client: httpx.AsyncClient, shared_engine: AsyncEngine) -> None:
    await make_masters(shared_client)
    leads = [lead(word, action(f"Type {number}")) for number, word in enumerate(WORDS)]
    await bill(shared_client, shared_engine, Policies(), *leads, lead("batches", action("Sourced"), source="crm"))


@pytest.mark.parametrize("word", WORDS)
async def test_r1_a_lead_is_found_by_any_id(shared_client: httpx.AsyncClient, words: None, word: str) -> None:
    page = await get(shared_client, "/leads", lead_id=word)
    assert [(each["lead_id"], each["source"], len(each["actions"])) for each in page["items"]] == [(word, None, 1)]
    assert page["next"] is None
    assert await get(shared_client, f"/leads/{page['items'][0]['id']}") == page["items"][0]
    assert await get(shared_client, "/leads", lead_id=page["items"][0]["id"]) == page


async def test_r1_a_lead_is_found_by_its_source_and_in_every_state(
    shared_client: httpx.AsyncClient, words: None
) -> None:
    found = (await get(shared_client, "/leads", lead_id="batches", source="crm"))["items"]
    assert [(each["lead_id"], each["source"], each["state"]) for each in found] == [("batches", "crm", "done")]
    await accept(shared_client, lead("batches", action("Waits"), source="other"))
    found = (await get(shared_client, "/leads", lead_id="batches", source="other"))["items"]
    assert [(each["lead_id"], each["state"]) for each in found] == [("batches", "waiting")]
    assert await get(shared_client, "/leads", lead_id="nobody's") == {"items": [], "next": None}
    refused = check_problem(await shared_client.get("/leads?source=crm"), 400)
    assert refused["errors"] == [{"pointer": "query:source", "detail": "needs lead_id beside it"}]
    refused = check_problem(await shared_client.get("/leads?lead_id=x&partner=acme&limit=1"), 400)
    assert [error["pointer"] for error in refused["errors"]] == ["query:limit", "query:partner"]


@pytest.mark.parametrize("word", ["a/periods", "a/terms", "a/periods/2024-04/close"])
async def test_r1_a_partner_is_found_by_any_id(shared_client: httpx.AsyncClient, word: str) -> None:
    made = await make(shared_client, "partners", external_id=word, name="Words")
    assert await get(shared_client, "/api/partners", partner=word) == {"items": [made], "next": None}
    assert await get(shared_client, f"/api/partners/{made['partner_id']}") == made


async def test_r1_products_and_customers_are_found_by_any_id(shared_client: httpx.AsyncClient, words: None) -> None:
    product = await make(shared_client, "products", external_id="p/erase", partner="acme", name="P")
    assert await get(shared_client, "/api/products", product="p/erase") == {"items": [product], "next": None}
    customer = await make(shared_client, "customers", external_id="c/erase", name="C", email="c@erase.example")
    assert await get(shared_client, "/api/customers", customer="c/erase") == {"items": [customer], "next": None}
    for path in ("partners?partner=no", "products?product=no", "customers?customer=no"):
        check_problem(await shared_client.get(f"/api/{path}"), 404)


@pytest.mark.parametrize(
    "path",
    ["/leads/batches/{}", "/api/actions/{}", "/api/tasks/{}", "/billing/reports/{}", "/billing/reports/{}/versions"],
)
async def test_r1_only_the_form_with_four_hyphens_is_a_uuid(shared_client: httpx.AsyncClient, path: str) -> None:
    key = "0f8fad5b-d9cb-469f-a165-70867728950e"
    check_problem(await shared_client.get(path.format(key)), 404)
    check_problem(await shared_client.get(path.format(key.upper())), 404)
    for other in (key.replace("-", ""), f"{{{key}}}", f"urn:uuid:{key}", f"{key} "):
        response = await shared_client.get(path.format(other))
        assert response.status_code == 400
        assert response.json()["errors"][0]["detail"] == f'must be a UUID, like "{key}"'


async def test_head_is_answered_like_get_without_a_body(shared_client: httpx.AsyncClient, words: None) -> None:
    for path in (
        "/health",
        "/ready",
        "/docs",
        "/openapi.json",
        "/leads",
        "/leads/batches",
        "/api/partners",
        "/metrics",
    ):
        asked, told = await shared_client.head(path), await shared_client.get(path)
        assert (asked.status_code, asked.content) == (told.status_code, b"") == (200, b"")
        assert asked.headers["content-type"] == told.headers["content-type"]
    assert (await shared_client.head("/leads/nobody's")).status_code == 404
    assert (await shared_client.head("/billing/reports/rebuild")).status_code in (400, 404, 405)


async def test_head_needs_a_key_like_get(shared_client: httpx.AsyncClient) -> None:
    no_key = {"authorization": "Bearer none"}
    assert (await shared_client.head("/leads", headers=no_key)).status_code == 401
    assert (await shared_client.head("/health", headers=no_key)).status_code == 200
