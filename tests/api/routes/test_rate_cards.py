"""Rate cards (R5, R16): rules are added, price what is open, and never touch what is closed."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
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


async def _values(client: httpx.AsyncClient) -> list[str]:
    return [each["value"] for each in (await get(client, "/leads/x"))["actions"]]


async def test_the_shipped_card(shared_client: httpx.AsyncClient) -> None:
    rules = await get_all(shared_client, "/api/rate-cards", limit=4)
    assert [
        (rule["lead_type"], rule["action_type"], rule["engagement_level"], rule["amount"]) for rule in rules[:6]
    ] == [
        (None, None, "High", "10.00"),
        (None, None, "Medium", "5.00"),
        (None, None, "Low", "2.00"),
        ("Email Campaign", "Click", "High", "15.00"),
        ("Referral", "Signup", "High", "20.00"),
        ("Conference", "Attendance", "High", "15.00"),
    ]
    assert await get(shared_client, f"/api/rate-cards/{rules[3]['rule_id']}") == rules[3]
    for unknown in ("0", "-1", "999999", "9" * 30, str(-(2**70))):
        check_problem(await shared_client.get(f"/api/rate-cards/{unknown}"), 404)
    check_problem(await shared_client.get("/api/rate-cards/x"), 400)


async def test_a_rule_prices_what_is_open_again_and_null_ends_it(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    sent = [action(at=f"2024-0{month}-01T00:00:00Z") for month in (4, 5, 6)]
    await bill(client, engine, policies, lead("x", *sent))
    assert await _values(client) == ["10.00"] * 3
    rule = {
        "partner": "acme",
        "action_type": "  cLiCk ",
        "amount": "7.5",
        "effective_from": "2024-05-01T02:00:00+02:00",
    }
    made = await make(client, "rate-cards", **rule)
    assert made["task"]["status_url"] == f"/api/tasks/{made['task']['task_id']}"
    del made["task"]
    assert made == {
        "rule_id": made["rule_id"],
        "partner": "acme",
        "product": None,
        "lead_type": None,
        "action_type": "cLiCk",
        "engagement_level": None,
        "amount": "7.50",
        "effective_from": "2024-05-01T00:00:00Z",
        "created_at": made["created_at"],
    }
    assert await get(client, f"/api/rate-cards/{made['rule_id']}") == made
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["10.00", "7.50", "7.50"]
    await make(client, "rate-cards", **rule | {"amount": None, "effective_from": "2024-06-01T00:00:00Z"})
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["10.00", "7.50", "10.00"]
    shown = (await get(client, "/leads/x"))["actions"][1]
    assert shown["rate"] == {
        "rule_id": made["rule_id"],
        "rule": "acme · cLiCk",
        "amount": "7.50",
        "card_version": shown["rate"]["card_version"],
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/amount"),
        ({"engagement_level": "High", "amount": None}, "#/amount"),
        ({"amount": None}, "#/amount"),
        ({"amount": 5}, "#/amount"),
        ({"amount": "5.001"}, "#/amount"),
        ({"amount": "-5"}, "#/amount"),
        ({"amount": "1000000.01"}, "#/amount"),
        ({"amount": "9999999999999.99"}, "#/amount"),
        ({"amount": "5", "engagement_level": "Top"}, "#/engagement_level"),
        ({"amount": "5", "lead_type": ""}, "#/lead_type"),
        ({"amount": "5", "lead_type": "a\0"}, "#/lead_type"),
        ({"amount": "5", "effective_from": "2024-01-01"}, "#/effective_from"),
        ({"amount": "5", "effective_from": "2024-01-01T00:00:00"}, "#/effective_from"),
        ({"amount": "5", "effective_from": "1704067200"}, "#/effective_from"),
        ({"amount": "5", "effective_from": 1704067200}, "#/effective_from"),
        ({"amount": "5", "effective_from": "1900-01-01T00:00:00Z"}, "#/effective_from"),
        ({"amount": "5", "effective_from": "2024-01-01T00:00:00.1234567Z"}, "#/effective_from"),
        ({"amount": "5", "until": "2024-01-01T00:00:00Z"}, "#/until"),
    ],
)
async def test_what_is_no_rule(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, body: Json, pointer: str
) -> None:
    before = await row_counts(shared_engine)
    document = check_problem(await shared_client.post("/api/rate-cards", json=body), 400)
    assert document["errors"][0]["pointer"] == pointer
    assert await row_counts(shared_engine) == before


async def test_two_rules_with_the_same_conditions_and_start_are_refused(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await make_masters(client)
    rules: list[Json] = [
        {"engagement_level": "HIGH", "amount": "11"},
        {"lead_type": "email campaign", "action_type": "CLICK", "engagement_level": "high", "amount": "1"},
    ]
    for fields in ({"partner": "acme"}, {"product": "widget", "lead_type": "Straße"}):
        start = {"effective_from": "2024-01-01T00:00:00Z"}
        await make(client, "rate-cards", **fields, **start, amount="3")
        rules.append({**fields, **start, "amount": "4"})
    rules.append(
        {"product": "widget", "lead_type": "STRASSE", "amount": "4", "effective_from": "2024-01-01T01:00:00+01:00"}
    )
    before = await row_counts(engine)
    for rule in rules:
        document = check_problem(await client.post("/api/rate-cards", json=rule), 409)
        assert document["detail"] == "A rule with the same conditions and the same start exists."
    assert await row_counts(engine) == before


async def test_a_rule_names_masters_that_belong_together(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make_masters(client)
    await make(client, "partners", external_id="globex", name="Globex")
    before = await row_counts(engine)
    check_problem(await client.post("/api/rate-cards", json={"partner": "nobody", "amount": "1"}), 404)
    check_problem(await client.post("/api/rate-cards", json={"product": "nothing", "amount": "1"}), 404)
    body = {"partner": "globex", "product": "widget", "amount": "1"}
    document = check_problem(await client.post("/api/rate-cards", json=body), 400)
    assert document["errors"] == [{"pointer": "#/product", "detail": "is not a product of this partner"}]
    assert await row_counts(engine) == before


async def test_closed_periods_keep_their_rates_and_terms(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("x", action(at="2024-04-01T00:00:00Z")))
    assert (await client.post("/api/partners/acme/periods/2024-04/close")).status_code == 202
    await finish_tasks(engine, policies, settings)
    before = await row_counts(engine)
    rule: dict[str, Any] = {"lead_type": "Website Visit", "amount": "1", "effective_from": "2024-04-30T23:59:59Z"}
    document = check_problem(await client.post("/api/rate-cards", json=rule), 409)
    assert document["detail"] == (
        "The rule would start in a closed period of a partner it touches; "
        "it can start at 2024-05-01T00:00:00Z or later."
    )
    document = check_problem(
        await client.patch("/api/partners/acme", json={"cap": "1", "effective_period": "2024-04"}), 409
    )
    assert document["detail"] == ("Terms cannot start in April 2024: it is closed; the first open period is May 2024.")
    assert await row_counts(engine) == before
    made = await make(client, "rate-cards", **rule | {"effective_from": None})
    assert made["effective_from"] == "2024-05-01T00:00:00Z"
    changed = await client.patch("/api/partners/acme", json={"cap": "1"})
    assert changed.json()["terms_since"] == "2024-05"
    await bill(client, engine, policies, lead("y", action("Other", at="2024-05-01T00:00:00Z")))
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["10.00"]
    assert (await get(client, "/leads/y"))["actions"][0]["value"] == "1.00"
