"""Fraud rules, screens and held actions through HTTP (M4)."""

from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.world import Json, action, bill, check_problem, finish_tasks, get, lead, make, make_masters, row_counts
from tests.people import new_person, session_headers

BURST = [f"2024-04-01T10:{minute:02d}:{minute * 7 % 60:02d}Z" for minute in (0, 1, 5, 19, 44)]


@pytest.fixture
async def burst(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> list[str]:
    """The ids of five actions of anna within an hour; the rule that finds so many is armed."""
    await make_masters(client)
    await make(client, "customers", external_id="eve", name="Eve", email="eve@mailinator.com")
    clicks = [action(f"Click {number}", at=at) for number, at in enumerate(BURST)]
    await bill(client, engine, policies, lead("1", *clicks), lead("2", customer_id="eve"))
    await client.patch("/api/fraud/rules/customer_burst", json={"armed": True, "limits": {"actions": 4}})
    return [each["action_id"] for each in (await get(client, "/leads/1"))["actions"]]


async def screen(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings) -> Json:
    started = await client.post("/api/fraud/screen", json={"partner": "acme", "period": "2024-04"})
    assert started.status_code == 202, started.text
    await finish_tasks(engine, policies, settings)
    task = await get(client, started.json()["status_url"])
    assert task["state"] == "done", task
    result: Json = task["result"]
    return result


async def test_m4_what_an_armed_rule_finds_is_held_and_a_person_decides(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings, burst: list[str]
) -> None:
    result = await screen(client, engine, policies, settings)
    assert (result["actions"], result["held"], result["currency"]) == (6, 5, "EUR")
    found = {each["rule"]: each for each in result["rules"] if each["actions"]}
    assert {name: (each["armed"], each["actions"], each["value"]) for name, each in found.items()} == {
        "customer_burst": (True, 5, "50.00"),
        "disposable_domain": (False, 1, "10.00"),
    }
    report = (await get(client, "/billing/reports", partner="acme", period="2024-04"))["items"][0]
    assert (report["totals"]["held"], report["totals"]["billed"]) == ("50.00", "10.00")

    listed = await get(client, "/api/held", partner="acme", period="2024-04", rule="customer_burst", limit=2)
    assert listed["at_risk"] == [{"currency": "EUR", "actions": 5, "value": "50.00"}]
    for only in ({}, {"partner": "acme"}, {"period": "2024-04"}, {"partner": "acme", "period": "2024-04"}):
        assert (await get(client, "/api/held", **only))["at_risk"] == listed["at_risk"], only
    assert (await get(client, "/api/held", period="2024-05"))["at_risk"] == []
    rest = await get(client, "/api/held", after=listed["next"])
    assert (len(rest["items"]), rest["at_risk"], rest["next"]) == (3, None, None)
    one = listed["items"][0]
    assert (one["rule"], one["version"], one["score"], one["value"]) == ("customer_burst", 1, 62, "10.00")
    assert one["facts"] == {"actions": 5, "limit_actions": 4}
    assert {each["action"]["action_id"] for each in listed["items"] + rest["items"]} == set(burst)
    held = await get(client, f"/api/actions/{burst[0]}")
    assert "5 actions of one customer within an hour: fraud rule customer_burst, version 1, score 62" in held["reason"]

    unknown = str(uuid4())
    body = {"actions": [*burst[:2], unknown], "decision": "release", "reason": "Ann called."}
    decided = await client.post("/api/held/decide", json=body)
    assert [(each["status"], each["detail"]) for each in decided.json()["items"]] == [
        (200, None),
        (200, None),
        (404, f"There is no action {unknown}."),
    ]
    assert decided.json()["next"] is None
    assert (await client.post("/api/held/decide", json=body)).json() == decided.json()  # repeated
    confirmed = {"actions": burst, "decision": "confirm", "reason": "A script."}
    statuses = [each["status"] for each in (await client.post("/api/held/decide", json=confirmed)).json()["items"]]
    assert statuses == [409, 409, 200, 200, 200]
    audited = [
        (line["what"], line["subject"], line["after"]["reason"])
        for what in ("action.released", "action.returned")
        for line in (await get(client, "/api/audit", what=what))["items"]
        if line["who"]["kind"] == "key"
    ]
    released = [("action.released", each, "Ann called.") for each in burst[:2]]
    assert sorted(audited) == sorted(released + [("action.returned", each, "A script.") for each in burst[2:]])
    report = (await get(client, "/billing/reports", partner="acme", period="2024-04"))["items"][0]
    assert [report["totals"][name] for name in ("held", "returned", "billed")] == ["0.00", "30.00", "30.00"]
    assert (await screen(client, engine, policies, settings))["held"] == 0
    assert (await get(client, "/api/held")) == {"items": [], "next": None, "at_risk": []}


async def test_a_person_of_the_partner_sees_no_result_of_a_screen(
    app: FastAPI,
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    policies: Policies,
    settings: Settings,
    burst: list[str],
) -> None:
    await screen(client, engine, policies, settings)
    headers = await session_headers(engine, await new_person(engine, "pat", Role.PARTNER, "acme"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as pat:
        (seen,) = (await get(pat, "/api/tasks", kind="screen_fraud"))["items"]
        assert (seen["state"], seen["result"]) == ("done", None)


async def test_m4_rules_are_shown_and_set(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings, burst: list[str]
) -> None:
    await screen(client, engine, policies, settings)
    rules = {each["rule"]: each for each in (await get(client, "/api/fraud/rules"))["items"]}
    assert len(rules) == 10
    assert [name for name, each in rules.items() if each["armed"]] == ["customer_burst"]
    eve = rules["disposable_domain"]
    assert (eve["screens"], eve["customers"], eve["actions"]) == (1, 1, 1)
    path = "/api/fraud/rules/night_only"
    changed = await client.patch(path, json={"threshold": 80, "limits": {"percent": 90}})
    assert changed.json() == rules["night_only"] | {"threshold": 80, "limits": {"actions": 100, "percent": 90}}
    before = await row_counts(engine)
    for refused in (
        {"threshold": 0},
        {"threshold": "50"},
        {"limits": {"percent": 101}},
        {"limits": {"x": 1}},
        {"a": 1},
    ):
        check_problem(await client.patch(path, json=refused), 400)
    check_problem(await client.patch("/api/fraud/rules/x", json={}), 404)
    check_problem(await client.post("/api/fraud/screen", json={"partner": "x", "period": "2024-04"}), 404)
    for actions in ([], ["x"], [str(uuid4())] * 501):
        body = {"actions": actions, "decision": "release", "reason": "x"}
        check_problem(await client.post("/api/held/decide", json=body), 400)
    assert (await client.patch(path, json={"threshold": 80})).status_code == 200  # it is so already
    assert await row_counts(engine) == before


async def test_p3_an_erased_person_is_in_no_finding(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings, burst: list[str]
) -> None:
    await client.patch("/api/fraud/rules/disposable_domain", json={"armed": True})
    await screen(client, engine, policies, settings)
    assert (await client.post("/api/customers/eve/erase")).status_code == 202
    await finish_tasks(engine, policies, settings)
    text = str(await get(client, "/api/held")) + str(await get(client, "/api/tasks"))
    assert [secret for secret in ("'eve'", "eve@", "mailinator", "Eve") if secret in text] == []
    assert (await get(client, "/api/held", rule="disposable_domain"))["items"][0]["facts"] == {"disposable": 1}
