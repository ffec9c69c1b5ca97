"""Contracts over HTTP: billing terms, the seller, usage, and who may change which of them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.engine import transaction
from tests.api.access.conftest import BrowserOf, browser_of
from tests.api.world import Json, check_problem, get, get_all, make, make_masters, row_counts
from tests.people import new_person

__all__ = ["browser_of"]

APRIL: Json = {"partner": "acme", "period": "2024-04", "source": "api", "key": "k", "units": 5}


@pytest.fixture
async def billing(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key has the scope `bill`, and so may what Finance may."""
    key = (await make(client, "keys", name="billing", scopes=["bill"]))["key"]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as opened:
        yield opened


async def patch(client: httpx.AsyncClient, status: int = 200, **change: Any) -> Json:
    response = await client.patch("/api/partners/acme", json=change)
    assert response.status_code == status, response.text
    body: Json = response.json()
    return body


async def test_b3_billing_terms_change_from_a_period_on_and_judge_nothing_again(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    changed = await patch(client, effective_period="2024-05", overage_unit_cost="0.0125", monthly_api_limit=1000)
    assert "task" not in changed
    assert (changed["overage_unit_cost"], changed["billing_terms_since"], changed["terms_since"]) == (
        "0.012500",
        "2024-05",
        None,
    )
    both = await patch(client, effective_period="2024-06", cap="50.00", usage_sources=["Batch", "api", "batch"])
    assert (both["usage_sources"], both["task"]["status_url"][:11]) == (["batch", "api"], "/api/tasks/")
    versions = (await get(client, "/api/partners/acme/terms"))["items"]
    named = ("terms_since", "cap", "billing_terms_since", "monthly_api_limit", "usage_sources")
    assert [tuple(each[name] for name in named) for each in versions] == [
        (None, "100.00", None, None, []),
        (None, "100.00", "2024-05", 1000, []),
        ("2024-06", "50.00", "2024-06", 1000, ["batch", "api"]),
    ]
    assert (await get(client, "/api/partners/acme", period="2024-04"))["monthly_api_limit"] is None


async def test_preferences_and_tax_that_are_not_sent_stay(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    await patch(client, preferences={"language": "de", "number_prefix": "AC"}, tax={"category": "S", "rate": "20"})
    changed = await patch(client, preferences={"approvals": [], "first_number": 7})
    assert changed["preferences"] == {
        "approvals": [],
        "auto_issue": False,
        "send": False,
        "remind": True,
        "emails": [],
        "language": "de",
        "paper": "A4",
        "number_prefix": "AC",
        "first_number": 7,
    }
    assert changed["tax"] == {"category": "S", "rate": "20.00", "note": None}
    changed = await patch(client, tax=None, preferences={"approvals": None, "number_prefix": None})
    assert changed["tax"] is changed["preferences"]["approvals"] is changed["preferences"]["number_prefix"] is None


async def test_the_old_name_of_require_csm_approval_goes_on_to_count(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    changed = await patch(client, csm_must_approve=True)
    assert changed["require_csm_approval"] is changed["csm_must_approve"] is True
    document = check_problem(
        await client.patch("/api/partners/acme", json={"csm_must_approve": True, "require_csm_approval": False}),
        400,
    )
    assert document["detail"] == "#/csm_must_approve is not a known field."


async def test_a_csm_is_a_person(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make_masters(client)
    kim = await new_person(engine, "kim", Role.CUSTOMER_SUCCESS)
    changed = await patch(client, csm="Kim@example.com")
    assert changed["csm"] == {"user_id": str(kim.id), "name": kim.name}
    assert (await patch(client, csm=str(kim.id), payment_days=9))["csm"] == changed["csm"]
    refused = await patch(client, 409, csm="nobody@example.com", payment_days=8)
    assert refused["detail"].startswith("'nobody@example.com' cannot be the CSM: ")
    assert (await patch(client, csm=None))["csm"] is None
    sent = {"external_id": "new", "name": "New", "csm": "kim@example.com"}
    assert [(await client.post("/api/partners", json=sent)).status_code for _ in range(2)] == [201, 200]
    document = check_problem(await client.post("/api/partners", json=sent | {"csm": None}), 409)
    assert document["detail"].startswith("Partner 'new' exists with another csm: ")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"billing_from": "2024-04"}, "#/billing_from"),
        ({"require_csm_approval": True}, "#/require_csm_approval"),
        ({"preferences": {"approvals": []}, "payment_days": 7}, "#/preferences/approvals"),
    ],
)
async def test_only_admins_change_who_approves_and_when_billing_begins(
    app: FastAPI, client: httpx.AsyncClient, billing: httpx.AsyncClient, engine: AsyncEngine, change: Json, pointer: str
) -> None:
    await make_masters(client)
    pricing = (await make(client, "keys", name="pricing", scopes=["pricing"]))["key"]
    before = await row_counts(engine)
    for headers in ({}, {"Authorization": f"Bearer {pricing}"}):
        response = await billing.patch("/api/partners/acme", json=change, headers=headers)
        assert check_problem(response, 403)["detail"] == f"{pointer} is changed by Admins only."
    assert await row_counts(engine) == before
    await patch(client, **change)


async def test_finance_changes_billing_terms_and_no_others(
    client: httpx.AsyncClient, billing: httpx.AsyncClient, engine: AsyncEngine, browser_of: BrowserOf
) -> None:
    await make_masters(client)
    finance = await browser_of(await new_person(engine, "fay", Role.FINANCE))
    for number, caller in enumerate((billing, finance)):
        changed = await patch(caller, payment_days=number, po_number="7", preferences={"paper": "Letter"})
        assert changed["payment_days"] == number
        for name, value in (("cap", "1.00"), ("name", "Other"), ("timezone", "Asia/Tokyo")):
            refused = await patch(caller, 403, payment_days=9, **{name: value})
            assert refused["detail"] == f"#/{name} is not changed without the permission 'pricing'."
    assert (await get(client, "/api/partners/acme"))["payment_days"] == 1


async def test_who_is_bound_to_a_partner_neither_sees_nor_names_its_csm(
    client: httpx.AsyncClient, billing: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await make_masters(client)
    await new_person(engine, "kim", Role.SALES)
    await patch(client, csm="kim@example.com")
    key = (await make(client, "keys", name="bound", scopes=["read", "pricing"], partner="acme"))["key"]
    headers = {"Authorization": f"Bearer {key}"}
    for path in ("/api/partners/acme", "/api/partners/acme/terms", "/api/partners"):
        assert '"csm":null' in (await client.get(path, headers=headers)).text
    document = check_problem(
        await client.patch("/api/partners/acme", json={"csm": "kim@example.com"}, headers=headers), 403
    )
    assert document["detail"] == "#/csm is not changed by those who are bound to a partner."


async def test_the_seller_is_named_as_a_whole(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    assert check_problem(await client.get("/api/seller"), 404)["detail"].startswith("Nobody has said yet")
    sent = {"name": "We", "address": "1 Road\nTown", "tax_id": "GB1", "small_amount": "5"}
    named = await client.put("/api/seller", json=sent | {"iban": "de89 3704 0044 0532 0130 00"})
    assert named.status_code == 200
    assert named.json() == sent | {"iban": "DE89370400440532013000", "small_amount": "5.00"}
    assert await get(client, "/api/seller") == named.json()
    assert (await client.put("/api/seller", json={"name": "Us"})).json() == dict.fromkeys(named.json()) | {"name": "Us"}
    for wrong, pointer in (({}, "#/name"), ({"name": "x", "iban": "DE00"}, "#/iban")):
        assert check_problem(await client.put("/api/seller", json=wrong), 400)["errors"][0]["pointer"] == pointer
    async with transaction(engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit WHERE what = 'seller.changed'") == 2


async def test_b2_usage_is_entered_once_and_replaced_when_asked(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    entered = await make(client, "usage", **APRIL)
    assert entered == APRIL | {"entry": 1, "entered_at": entered["entered_at"], "entered_by": entered["entered_by"]}
    assert entered["entered_by"]["kind"] == "key"
    again = await client.post("/api/usage", json=APRIL | {"source": " API "})
    assert (again.status_code, again.json()) == (200, entered)
    other = APRIL | {"units": 6}
    check_problem(await client.post("/api/usage", json=other), 409)
    replaced = await client.post("/api/usage", json=other | {"replace": True})
    assert (replaced.status_code, replaced.json()["entry"], replaced.json()["units"]) == (201, 2, 6)
    await make(client, "usage", **APRIL | {"key": "l", "source": "batch"})
    assert [each["units"] for each in await get_all(client, "/api/usage", partner="acme", limit=1)] == [6, 5]
    found = await get_all(client, "/api/usage", source="API", period="2024-04", history="true", limit=1)
    assert [(each["key"], each["entry"], each["units"]) for each in found] == [("k", 1, 5), ("k", 2, 6)]
    assert (await get(client, "/api/usage", period="2024-05"))["items"] == []


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"units": -1}, "#/units"),
        ({"units": 1.5}, "#/units"),
        ({"units": 10**12 + 1}, "#/units"),
        ({"source": "Leadger"}, "#/source"),
        ({"key": ""}, "#/key"),
        ({"period": "2024-4"}, "#/period"),
        ({"replace": 1}, "#/replace"),
        ({"entered_by": "me"}, "#/entered_by"),
    ],
)
async def test_what_is_no_usage(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, wrong: Json, pointer: str
) -> None:
    before = await row_counts(shared_engine)
    document = check_problem(await shared_client.post("/api/usage", json=APRIL | wrong), 400)
    assert document["errors"][0]["pointer"] == pointer
    assert await row_counts(shared_engine) == before
