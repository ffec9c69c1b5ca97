"""Partners, products and customers: created, created again, changed, listed, refused."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import worker_batch
from db.ledger.policies import Policies
from tests.api.world import (
    Json,
    action,
    bill,
    check_problem,
    finish_tasks,
    get,
    get_all,
    lead,
    make,
    make_masters,
    row_counts,
)

ACME = {"external_id": "acme", "name": "Acme"}


async def test_a_partner_has_the_default_terms(client: httpx.AsyncClient) -> None:
    made = await make(client, "partners", **ACME)
    assert made == {
        "partner_id": made["partner_id"],
        "external_id": "acme",
        "name": "Acme",
        "billing_email": None,
        "currency": "EUR",
        "timezone": "UTC",
        "closed_through": None,
        "cap": "100.00",
        "cap_scope": "period",
        "dedup_window": "forever",
        "terms_since": None,
        "monthly_api_limit": None,
        "overage_unit_cost": None,
        "usage_sources": [],
        "tax": None,
        "payment_days": 30,
        "po_number": None,
        "address": None,
        "tax_id": None,
        "start_date": None,
        "end_date": None,
        "csm": None,
        "require_csm_approval": False,
        "csm_must_approve": False,
        "return_days": None,
        "return_reasons": [],
        "billing_from": None,
        "preferences": {
            "approvals": None,
            "auto_issue": False,
            "send": False,
            "remind": True,
            "emails": [],
            "language": "en",
            "paper": "A4",
            "number_prefix": None,
            "first_number": None,
        },
        "billing_terms_since": None,
        "created_at": made["created_at"],
    }
    assert await get(client, "/api/partners/acme") == await get(client, f"/api/partners/{made['partner_id']}") == made


async def test_a_partner_with_everything(client: httpx.AsyncClient) -> None:
    sent: Json = {
        "external_id": "a/b c%",
        "name": "  Ünï  ",
        "billing_email": " Billing@Acme.EXAMPLE ",
        "currency": "USD",
        "timezone": "Europe/Berlin",
        "cap": None,
        "cap_scope": "lifetime",
        "dedup_window": 30,
        "monthly_api_limit": 10**15,
        "overage_unit_cost": "0.012500",
        "usage_sources": ["api", "leadger"],
        "tax": {"category": "S", "rate": "20.00", "note": "VAT"},
        "payment_days": 14,
        "po_number": "PO 7",
        "address": "Ünï GmbH\nRing 1\n10115 Berlin",
        "tax_id": "DE123456789",
        "start_date": "2024-01-01",
        "end_date": "2024-12-31",
        "csm": None,
        "require_csm_approval": True,
        "return_days": 60,
        "return_reasons": ["No budget"],
        "billing_from": "2024-02",
        "preferences": {
            "approvals": [{"by": "csm", "above": None}, {"by": "sales", "above": "1000.00"}],
            "auto_issue": True,
            "send": True,
            "remind": False,
            "emails": ["bills@acme.example"],
            "language": "de-AT",
            "paper": "Letter",
            "number_prefix": "UNI",
            "first_number": 100,
        },
    }
    response = await client.post("/api/partners", json=sent)
    assert response.status_code == 201
    made = response.json()
    assert {name: made[name] for name in sent} == sent | {"name": "Ünï", "billing_email": "billing@acme.example"}
    assert (await client.get(response.headers["location"])).json() == made
    again = await client.post("/api/partners", json=sent)
    assert (again.status_code, again.json()) == (200, made)
    assert await get(client, f"/api/partners/{quote('a/b c%', safe='')}") == made


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"name": "Other"}, "name"),
        ({"currency": "USD"}, "currency"),
        ({"cap": "99.99"}, "cap"),
        ({"cap": None}, "cap"),
        ({"cap_scope": "lifetime"}, "cap_scope"),
        ({"dedup_window": 3}, "dedup_window"),
        ({"dedup_window": "period"}, "dedup_window"),
        ({"timezone": "Asia/Tokyo"}, "timezone"),
        ({"billing_email": "x@y"}, "billing_email"),
        ({"preferences": {"paper": "Letter"}}, "preferences"),
        ({"preferences": {"number_prefix": "AC"}}, "preferences"),
        ({"billing_from": "2024-01"}, "billing_from"),
        ({"tax": {"category": "Z", "rate": "0"}}, "tax"),
        ({"start_date": "2024-01-01"}, "start_date"),
        ({"overage_unit_cost": "1"}, "overage_unit_cost"),
    ],
)
async def test_the_same_partner_again_is_fine_and_another_is_a_conflict(
    shared_client: httpx.AsyncClient, other: Json, named: str
) -> None:
    await shared_client.post("/api/partners", json=ACME)
    for same in (ACME, ACME | {"cap": "100"}, ACME | {"dedup_window": "forever", "timezone": "UTC", "preferences": {}}):
        assert (await shared_client.post("/api/partners", json=same)).status_code == 200
    document = check_problem(await shared_client.post("/api/partners", json=ACME | other), 409)
    assert document["detail"].startswith(f"Partner 'acme' exists with another {named}: ")
    assert (await get(shared_client, "/api/partners/acme"))["name"] == "Acme"


BAD_PARTNERS: list[tuple[Any, str]] = [
    ({"external_id": "x"}, "#/name"),
    ({"name": "X"}, "#/external_id"),
    ({"external_id": "", "name": "X"}, "#/external_id"),
    ({"external_id": "x" * 201, "name": "X"}, "#/external_id"),
    ({"external_id": "a\0", "name": "X"}, "#/external_id"),
    ({"external_id": 7, "name": "X"}, "#/external_id"),
    (ACME | {"name": " "}, "#/name"),
    (ACME | {"name": "a\0b"}, "#/name"),
    (ACME | {"name": "x" * 201}, "#/name"),
    (ACME | {"name": None}, "#/name"),
    (ACME | {"nickname": "A"}, "#/nickname"),
    (ACME | {"effective_period": "2024-04"}, "#/effective_period"),
    (ACME | {"currency": "JPY"}, "#/currency"),
    (ACME | {"currency": "eur"}, "#/currency"),
    (ACME | {"timezone": "Mars/Olympus"}, "#/timezone"),
    (ACME | {"timezone": "../etc/passwd"}, "#/timezone"),
    (ACME | {"timezone": "/etc/localtime"}, "#/timezone"),
    (ACME | {"billing_email": "nobody"}, "#/billing_email"),
    (ACME | {"cap": 100}, "#/cap"),
    (ACME | {"cap": "100.001"}, "#/cap"),
    (ACME | {"cap": "-1"}, "#/cap"),
    (ACME | {"cap": "1e3"}, "#/cap"),
    (ACME | {"cap": "9" * 14}, "#/cap"),
    (ACME | {"cap": "1000000000.01"}, "#/cap"),
    (ACME | {"overage_unit_cost": "10000.000001"}, "#/overage_unit_cost"),
    (ACME | {"overage_unit_cost": "0.0000001"}, "#/overage_unit_cost"),
    (ACME | {"cap": "١"}, "#/cap"),
    (ACME | {"cap_scope": "weekly"}, "#/cap_scope"),
    (ACME | {"dedup_window": 0}, "#/dedup_window"),
    (ACME | {"dedup_window": 3651}, "#/dedup_window"),
    (ACME | {"dedup_window": True}, "#/dedup_window"),
    (ACME | {"dedup_window": 1.0}, "#/dedup_window"),
    (ACME | {"dedup_window": "30"}, "#/dedup_window"),
    (ACME | {"monthly_api_limit": -1}, "#/monthly_api_limit"),
    (ACME | {"monthly_api_limit": 10**30}, "#/monthly_api_limit"),
    (ACME | {"monthly_api_limit": "5"}, "#/monthly_api_limit"),
    (ACME | {"monthly_api_limit": True}, "#/monthly_api_limit"),
    (ACME | {"require_csm_approval": "yes"}, "#/require_csm_approval"),
    (ACME | {"csm_must_approve": 1}, "#/csm_must_approve"),
    (ACME | {"start_date": 0}, "#/start_date"),
    (ACME | {"start_date": "1700000000"}, "#/start_date"),
    (ACME | {"start_date": "2024-02-30"}, "#/start_date"),
    (ACME | {"start_date": "2024-02-01", "end_date": "2024-01-31"}, "#"),
    (ACME | {"preferences": []}, "#/preferences"),
    (ACME | {"preferences": {"nested": 1}}, "#/preferences/nested"),
    (ACME | {"preferences": {"language": "German"}}, "#/preferences/language"),
    (ACME | {"preferences": {"paper": "A3"}}, "#/preferences/paper"),
    (ACME | {"preferences": {"emails": ["nobody"]}}, "#/preferences/emails/0"),
    (ACME | {"preferences": {"approvals": [{"by": "boss"}]}}, "#/preferences/approvals/0/by"),
    (ACME | {"preferences": {"number_prefix": "acme"}}, "#/preferences/number_prefix"),
    (ACME | {"preferences": {"first_number": 0}}, "#/preferences/first_number"),
    (ACME | {"tax": {"category": "S", "rate": "0.00"}}, "#/tax"),
    (ACME | {"tax": {"category": "AE", "rate": "20.00"}}, "#/tax"),
    (ACME | {"tax": {"category": "S", "rate": "100.01"}}, "#/tax/rate"),
    (ACME | {"usage_sources": [""]}, "#/usage_sources/0"),
    (ACME | {"payment_days": -1}, "#/payment_days"),
    (ACME | {"return_days": "30"}, "#/return_days"),
    (ACME | {"address": " \n "}, "#/address"),
    (ACME | {"billing_from": "2024"}, "#/billing_from"),
    ([], "#"),
    ("x", "#"),
    ([ACME], "#"),
]


@pytest.mark.parametrize(("body", "pointer"), BAD_PARTNERS, ids=range(len(BAD_PARTNERS)))
async def test_what_is_no_partner(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, body: Any, pointer: str
) -> None:
    before = await row_counts(shared_engine)
    document = check_problem(await shared_client.post("/api/partners", json=body), 400)
    assert document["errors"][0]["pointer"] == pointer
    assert await row_counts(shared_engine) == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b'{"external_id": "x", "name": "X", "name": "Y"}', 400),
        (b'{"external_id": "x", "name": "\\ud800"}', 400),
        (b'{"external_id": "x", "name": "\xff"}', 400),
        (b'{"external_id": "x", "name": "X", "preferences": {"a": NaN}}', 400),
        (b'{"preferences": ' + b'{"a":' * 900 + b"1" + b"}" * 901, 400),
        (b"[" * 500_000, 400),
        (b"\xef\xbb\xbf{}", 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
    ids=range(11),
)
async def test_what_is_no_body(shared_client: httpx.AsyncClient, content: bytes, status: int) -> None:
    response = await shared_client.post("/api/partners", content=content, headers={"content-type": "application/json"})
    check_problem(response, status)


async def test_a_body_wants_its_content_type(shared_client: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16"):
        headers = {"content-type": kind}
        check_problem(await shared_client.post("/api/partners", content=b"{}", headers=headers), 415)


async def test_lists_go_by_pages(shared_client: httpx.AsyncClient) -> None:
    await shared_client.post("/api/partners", json=ACME)
    for number in range(7):
        await make(shared_client, "partners", external_id=f"p-{number}", name="P")
        await make(shared_client, "products", external_id=f"ä{'x' * 198}{number}", partner="acme", name="P")
        email = f"{number}@example.com"
        await make(shared_client, "customers", external_id=f"c-{number}", name="C", email=email)
    for kind, count in (("partners", 8), ("products", 7), ("customers", 7)):
        items = await get_all(shared_client, f"/api/{kind}", limit=3)
        ids = [item["external_id"] for item in items]
        assert len(ids) == count
        assert ids == sorted(ids)
        assert items == (await get(shared_client, f"/api/{kind}", limit=500))["items"]
    for bad in ({"limit": 0}, {"limit": 501}, {"limit": "x"}, {"after": "%%%"}, {"after": "MTc"}):
        check_problem(await shared_client.get("/api/partners", params=bad), 400)


async def test_unknown_masters_are_404(shared_client: httpx.AsyncClient) -> None:
    for kind in ("partners", "products", "customers"):
        for unknown in ("nobody", str(uuid4())):
            document = check_problem(await shared_client.get(f"/api/{kind}/{unknown}"), 404)
            assert document["detail"] == f"There is no {kind[:-1]} '{unknown}'."
            check_problem(await shared_client.patch(f"/api/{kind}/{unknown}", json={"name": "X"}), 404)
    check_problem(
        await shared_client.post("/api/products", json={"external_id": "x", "partner": "nobody", "name": "X"}), 404
    )


async def test_a_uuid_of_the_callers_own_is_the_row_key(shared_client: httpx.AsyncClient) -> None:
    own = str(uuid4())
    made = await make(shared_client, "partners", external_id=own, name="Own")
    assert made["partner_id"] == own
    check_problem(await shared_client.post("/api/partners", json={"external_id": own.upper(), "name": "Own"}), 409)


async def test_changing_names_touches_no_terms(client: httpx.AsyncClient) -> None:
    await make(client, "partners", **ACME)
    changed = await client.patch("/api/partners/acme", json={"name": "Acme 2", "billing_email": "a@b"})
    assert changed.status_code == 200
    assert "task" not in changed.json()
    shown = await get(client, "/api/partners/acme")
    assert (shown["name"], shown["billing_email"], shown["cap"]) == ("Acme 2", "a@b", "100.00")
    assert len((await get(client, "/api/partners/acme/terms"))["items"]) == 1
    await client.patch("/api/partners/acme", json={"billing_email": None})
    assert (await get(client, "/api/partners/acme"))["billing_email"] is None
    for bad in ({"name": None}, {"currency": None}, {"timezone": None}, {"cap": 5}, {"x": 1}, {"external_id": "y"}):
        check_problem(await client.patch("/api/partners/acme", json=bad), 400)
    assert (await client.patch("/api/partners/acme", json={})).status_code == 200


async def test_terms_change_from_a_period_on(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    clicks = [action("A", at="2024-04-01T00:00:00Z"), action("B", at="2024-05-01T00:00:00Z")]
    await bill(client, engine, policies, lead("x", *clicks))
    changed = await client.patch("/api/partners/acme", json={"cap": "4", "effective_period": "2024-05"})
    assert changed.status_code == 200
    task = changed.json()["task"]
    assert (await get(client, task["status_url"]))["state"] == "waiting"
    await finish_tasks(engine, policies, settings)
    done = await get(client, task["status_url"])
    assert (done["state"], done["progress"], done["result"]) == ("done", {"done": 1, "total": 1}, {"customers": 1})
    shown = (await get(client, "/leads/x"))["actions"]
    assert [(each["billed"], each["outcome"], each["cap"]) for each in shown] == [
        ("10.00", "billed", "100.00"),
        ("4.00", "partly_billed", "4.00"),
    ]
    versions = (await get(client, "/api/partners/acme/terms"))["items"]
    assert [(each["terms_since"], each["cap"]) for each in versions] == [(None, "100.00"), ("2024-05", "4.00")]
    assert (await get(client, "/api/partners/acme", period="2024-04"))["cap"] == "100.00"
    assert (await get(client, "/api/partners/acme", period="2024-06"))["cap"] == "4.00"
    assert (await get(client, "/api/partners/acme"))["cap"] == "4.00"


@pytest.mark.parametrize(
    ("terms", "billed"),
    [
        ({"cap": None}, ["10.00"] * 2 + ["0.00"] + ["10.00"]),
        ({"cap": "15"}, ["10.00", "5.00", "0.00", "10.00"]),
        ({"cap": "15", "cap_scope": "lifetime"}, ["10.00", "5.00", "0.00", "0.00"]),
        ({"cap": "0"}, ["0.00"] * 4),
        ({"dedup_window": 1}, ["10.00"] * 4),
        ({"dedup_window": 2}, ["10.00", "10.00", "0.00", "10.00"]),
        ({"dedup_window": "period"}, ["10.00", "10.00", "0.00", "10.00"]),
    ],
)
async def test_the_terms_decide(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, terms: Json, billed: list[str]
) -> None:
    await make_masters(client, **terms)
    actions = [
        action("A", at="2024-04-01T00:00:00Z"),
        action("B", at="2024-04-02T00:00:00Z"),
        action("B", at="2024-04-03T00:00:00Z"),
        action("C", at="2024-05-01T00:00:00Z"),
    ]
    await bill(client, engine, policies, lead("x", *actions))
    assert [each["billed"] for each in (await get(client, "/leads/x"))["actions"]] == billed


async def test_terms_that_would_end_before_they_start(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make(client, "partners", **ACME, start_date="2024-06-01")
    before = await row_counts(engine)
    document = check_problem(await client.patch("/api/partners/acme", json={"end_date": "2024-05-31"}), 409)
    assert document["detail"] == "The terms would end on 2024-05-31, before they start on 2024-06-01."
    document = check_problem(await client.patch("/api/partners/acme", json={"effective_period": "2024-05"}), 400)
    assert document["errors"][0]["pointer"] == "#/effective_period"
    assert await row_counts(engine) == before


async def test_the_time_zone_changes_with_the_first_period_not_yet_begun(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("x", action(at="2024-04-30T23:00:00Z")))
    changed = await client.patch("/api/partners/acme", json={"timezone": "Europe/Berlin"})
    assert changed.json()["timezone"] == "Europe/Berlin"
    await finish_tasks(engine, policies, settings)
    assert (await get(client, "/leads/x"))["actions"][0]["period"] == "2024-04"
    (period,) = (await get(client, "/api/partners/acme/periods"))["items"]
    assert period == {
        "period": "2024-04",
        "starts_at": "2024-04-01T00:00:00Z",
        "ends_at": "2024-05-01T00:00:00Z",
        "closed": False,
        "currency": "EUR",
        "billed": "10.00",
        "credited": "0.00",
        "net": "10.00",
    }
    this_month = f"{datetime.now(UTC):%Y-%m}"
    assert (await get(client, "/api/partners/acme", period=this_month))["timezone"] == "UTC"


async def test_the_currency_is_fixed_with_the_first_action(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    assert (await client.patch("/api/partners/acme", json={"currency": "USD"})).json()["currency"] == "USD"
    await bill(client, engine, policies, lead())
    assert (await client.patch("/api/partners/acme", json={"currency": "USD"})).status_code == 200
    document = check_problem(await client.patch("/api/partners/acme", json={"currency": "EUR", "name": "No"}), 409)
    assert document["detail"] == "The currency is USD for good, because the partner has actions."
    shown = await get(client, "/api/partners/acme")
    assert (shown["currency"], shown["name"]) == ("USD", "Acme")


async def test_products(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await make(client, "partners", **ACME)
    await make(client, "partners", external_id="globex", name="Globex")
    await make(client, "customers", external_id="anna", name="Anna", email="anna@example.com")
    await bill(client, engine, policies, lead("1"), lead("2", action("Call")), lead("3", product_id="gadget"))
    assert len((await get(client, "/api/quarantine"))["items"]) == 3
    widget = {"external_id": "widget", "partner": "acme", "name": "Widget", "description": "d"}
    made = await make(client, "products", **widget)
    assert made == widget | {"product_id": made["product_id"], "created_at": made["created_at"]}
    assert await worker_batch.retry_quarantined(engine, policies) == 2
    assert [each["product"] for each in (await get(client, "/api/quarantine"))["items"]] == ["gadget"]
    assert (await get(client, "/leads/1"))["state"] == "done"
    for same in (widget, {"external_id": "widget", "partner": "acme", "name": "Widget"}):
        again = await client.post("/api/products", json=same)
        assert (again.status_code, again.json()) == (200, made)
    for other in ({"partner": "globex"}, {"name": "Other"}, {"description": None}):
        check_problem(await client.post("/api/products", json=widget | other), 409)
    changed = await client.patch("/api/products/widget", json={"name": "Widget 2", "description": None})
    assert changed.json() == made | {"name": "Widget 2", "description": None}
    for bad in ({"partner": "globex"}, {"name": None}, {"external_id": "x"}):
        check_problem(await client.patch("/api/products/widget", json=bad), 400)


async def test_customers_and_their_aliases(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    anna = await make(client, "customers", external_id="anna", name="Anna", email=" ANNA@Example.com ")
    assert (anna["email"], anna["aliases"]) == ("anna@example.com", [])
    body = {"external_id": "anna", "name": "Anna", "email": "Anna@example.com"}
    assert (await client.post("/api/customers", json=body)).status_code == 200
    check_problem(await client.post("/api/customers", json=body | {"name": "Other"}), 409)
    check_problem(await client.post("/api/customers", json=body | {"email": "other@example.com"}), 409)
    alias = {"external_id": "a-17", "name": "Somebody", "email": "anna@EXAMPLE.com"}
    for _ in range(2):
        response = await client.post("/api/customers", json=alias)
        assert (response.status_code, response.json()) == (200, anna | {"aliases": ["a-17"]})
    check_problem(await client.post("/api/customers", json=alias | {"email": "other@example.com"}), 409)
    assert await get(client, "/api/customers/a-17") == await get(client, f"/api/customers/{anna['customer_id']}")
    assert (await client.patch("/api/customers/a-17", json={"name": "Anna B"})).json()["name"] == "Anna B"
    await make(client, "customers", external_id="ben", name="Ben", email="ben@example.com")
    document = check_problem(await client.patch("/api/customers/ben", json={"email": "Anna@example.com"}), 409)
    assert document["detail"] == "Another customer has the e-mail 'anna@example.com'."
    refused: list[Json] = [{"name": None}, {"email": None}, {"email": "x"}, {"aliases": []}]
    for bad in refused:
        check_problem(await client.patch("/api/customers/ben", json=bad), 400)
    assert len((await get(client, "/api/customers"))["items"]) == 2
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer_aliases") == 1


async def test_aliases_are_one_person_for_cap_and_duplicates(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client, cap="12.00")
    await client.post("/api/customers", json={"external_id": "an", "name": "An", "email": "anna@example.com"})
    await bill(
        client,
        engine,
        policies,
        lead("1", action(at="2024-04-01T00:00:00Z")),
        lead("2", action(at="2024-04-02T00:00:00Z"), action("Call", at="2024-04-03T00:00:00Z"), customer_id="an"),
    )
    shown = (await get(client, "/leads/2"))["actions"]
    assert [(each["outcome"], each["billed"]) for each in shown] == [("duplicate", "0.00"), ("partly_billed", "2.00")]
    assert {each["lead_id"] for each in (await get(client, "/leads", customer="an"))["items"]} == {"1", "2"}
