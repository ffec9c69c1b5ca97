"""Rate cards (R5, R16): rules are added, price what is open, and never touch what is closed."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.ledger.policies import Policies
from db.tasks import waiting
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
        "created_by": made["created_by"],
        "ended_at": None,
        "ended_by": None,
        "replaces": [],
        "replaced_by": None,
        "counts": None,
    }
    assert made["created_by"]
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
        # Postgres would keep it as infinity, and nothing could be priced any more.
        ({"amount": "5", "effective_from": "9999-12-31T23:59:59.999999Z"}, "#/effective_from"),
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


async def test_a_rule_with_the_same_conditions_and_start_replaces_the_other(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("x", action(at="2024-04-01T00:00:00Z")))
    start = "2024-01-01T00:00:00Z"
    rules: list[tuple[Json, Json]] = [
        ({"engagement_level": "High"}, {"engagement_level": "HIGH"}),
        ({"partner": "acme", "effective_from": start}, {"partner": "acme", "effective_from": start}),
        (
            {"product": "widget", "lead_type": "Straße", "effective_from": start},
            {"product": "widget", "lead_type": "STRASSE", "effective_from": "2024-01-01T01:00:00+01:00"},
        ),
        ({"partner": "acme", "effective_from": "2024-05"}, {"partner": "acme", "effective_from": "2024-05"}),
    ]
    for named, same in rules:
        first = await make(client, "rate-cards", **named, amount="3")
        second = await make(client, "rate-cards", **same, amount="4")
        assert second["replaces"] == [first["rule_id"]]
        old = await get(client, f"/api/rate-cards/{first['rule_id']}")
        assert (old["replaced_by"], old["amount"], old["ended_by"]) == (
            second["rule_id"],
            "3.00",
            second["created_by"],
        )
        assert old["ended_at"] is not None
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["4.00"]


async def test_a_changed_and_an_ended_rule_stay_readable(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    sent = [action(at="2024-04-01T00:00:00Z"), action("Other", at="2024-05-01T00:00:00Z")]
    await bill(client, engine, policies, lead("x", *sent))
    wrong = await make(client, "rate-cards", partner="acme", amount="100.00")
    path = f"/api/rate-cards/{wrong['rule_id']}"
    right = (await client.patch(path, json={"amount": "7.00"})).json()
    assert (right["amount"], right["replaces"], right["effective_from"]) == ("7.00", [wrong["rule_id"]], None)
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["7.00", "7.00"]
    assert (await client.post("/api/partners/acme/periods/2024-04/close")).status_code == 202
    await finish_tasks(engine, policies, settings)
    before = await row_counts(engine)
    document = check_problem(await client.patch(path, json={"amount": "8.00"}), 409)
    assert document["detail"] == f"Rule {wrong['rule_id']} has ended. Rule {right['rule_id']} has taken its place."
    check_problem(await client.delete(path), 409)
    check_problem(await client.patch("/api/rate-cards/999999", json={"amount": "8.00"}), 404)
    check_problem(await client.delete("/api/rate-cards/999999"), 404)
    document = check_problem(await client.delete("/api/rate-cards/1"), 409)
    assert document["detail"] == "Every engagement level has a price; change the amount of this rule instead."
    document = check_problem(await client.patch("/api/rate-cards/1", json={"amount": None}), 400)
    assert document["errors"] == [
        {"pointer": "#/amount", "detail": "must not be null for a rule that names a level only"}
    ]
    check_problem(await client.patch("/api/rate-cards/1", json={"amount": "1000000.01"}), 400)
    assert await row_counts(engine) == before
    ended = (await client.delete(f"/api/rate-cards/{right['rule_id']}")).json()
    assert ended["task"]["task_id"]
    assert ended["ended_by"] == right["created_by"]
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["7.00", "10.00"]
    rate = (await get(client, "/leads/x"))["actions"][0]["rate"]
    assert (rate["rule_id"], rate["rule"], rate["amount"]) == (right["rule_id"], "acme", "7.00")
    listed = await get_all(client, "/api/rate-cards", limit=4, partner="acme", ended=True)
    assert [(each["rule_id"], each["counts"]) for each in listed[6:]] == [
        (wrong["rule_id"], {"ever": False, "since": None, "until": None}),
        (right["rule_id"], {"ever": True, "since": None, "until": "2024-05-01T00:00:00Z"}),
    ]
    assert len(await get_all(client, "/api/rate-cards", limit=4)) == 6


async def test_the_rules_of_a_partner(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    await make(client, "partners", external_id="globex", name="Globex", timezone="Europe/Berlin")
    made = [
        await make(client, "rate-cards", partner="acme", amount="1"),
        await make(client, "rate-cards", product="widget", amount="2"),
        await make(client, "rate-cards", action_type="Click", amount="3", effective_from="2024-05"),
        await make(client, "rate-cards", partner="globex", amount="4"),
    ]
    ids = [each["rule_id"] for each in made]
    assert made[2]["effective_from"] == "2024-05"
    acme = await get_all(client, "/api/rate-cards", limit=4, partner="acme")
    globex = await get_all(client, "/api/rate-cards", limit=4, partner="globex")
    assert [each["rule_id"] for each in acme[6:]] == ids[:3]
    assert [each["rule_id"] for each in globex[6:]] == ids[2:]
    assert acme[8]["counts"]["since"] == "2024-05-01T00:00:00Z"
    assert globex[6]["counts"]["since"] == "2024-04-30T22:00:00Z"
    check_problem(await client.get("/api/rate-cards", params={"partner": "nobody"}), 404)


async def test_a_caller_has_so_many_previews_waiting(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    """Failed before: one caller filled the queue with previews, each of which judges up to 100,000 actions."""
    await make_masters(client)
    rule = await make(client, "rate-cards", partner="acme", amount="3.00")
    ways: list[tuple[str, str, Json | None]] = [
        ("POST", "/api/rate-cards", {"engagement_level": "Low", "amount": "2.50"}),
        ("PATCH", f"/api/rate-cards/{rule['rule_id']}", {"amount": "60.00"}),
        ("DELETE", f"/api/rate-cards/{rule['rule_id']}", None),
    ]

    async def preview(method: str, path: str, body: Json | None) -> httpx.Response:
        return await client.request(method, path, params={"dry_run": "true"}, json=body)

    for at in range(waiting.MOST):
        assert (await preview(*ways[at % len(ways)])).status_code == 202
    before = await row_counts(engine)
    for way in ways:
        answer = await preview(*way)
        refused = check_problem(answer, 429)
        assert refused["detail"] == "5 price previews of yours have not ended; ask for this one after them."
        assert answer.headers["Retry-After"] == "2"
    assert await row_counts(engine) == before
    await finish_tasks(engine, policies, settings)
    assert (await preview(*ways[0])).status_code == 202


async def test_a_preview_says_what_would_differ_and_changes_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    sent = [
        action(f"T{month}{number}", "Low", at=f"2024-0{month}-01T00:00:00Z") for month in (4, 5, 6) for number in (1, 2)
    ]
    await bill(client, engine, policies, lead("x", *sent))
    assert (await client.post("/api/partners/acme/periods/2024-04/close")).status_code == 202
    rule = await make(client, "rate-cards", partner="acme", amount="3.00", effective_from="2024-06")
    await finish_tasks(engine, policies, settings)
    before = await row_counts(engine)

    async def differences(method: str, path: str, **request: Any) -> Json:
        answer = await client.request(method, path, params={"dry_run": "true"}, **request)
        assert answer.status_code == 202
        assert answer.headers["Location"] == answer.json()["status_url"]
        await finish_tasks(engine, policies, settings)
        task: Json = await get(client, answer.json()["status_url"])
        return task

    def difference(period: str, minor: str) -> Json:
        return {
            "partner": "acme",
            "period": period,
            "currency": "EUR",
            "actions": 2,
            "gross": minor,
            "billed": minor,
        }

    one = f"/api/rate-cards/{rule['rule_id']}"
    whole = {"complete": True, "customers": 1, "actions": 4}
    created = await differences("POST", "/api/rate-cards", json={"engagement_level": "Low", "amount": "2.50"})
    assert created["result"] == whole | {"differences": [difference("2024-05", "1.00")]}
    changed = await differences("PATCH", one, json={"amount": "60.00"})
    assert changed["result"] == whole | {
        "differences": [difference("2024-06", "114.00") | {"billed": "94.00"}],
    }
    ended = await differences("DELETE", one)
    assert ended["result"] == whole | {"differences": [difference("2024-06", "-2.00")]}
    refused = await differences(
        "POST", "/api/rate-cards", json={"partner": "acme", "amount": "1", "effective_from": "2024-04"}
    )
    assert refused["state"] == "failed"
    assert refused["error"].startswith("The rule cannot start in April 2024, which a partner that it touches has")
    after = await row_counts(engine)
    assert {table for table in after if after[table] != before[table]} == {"tasks"}
    assert await _values(client) == ["2.00"] * 4 + ["3.00"] * 2


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
        "The rule would start in a closed period of a partner it touches; it can start at 2024-05-01T00:00:00Z or "
        "later, or without a start with the first open period of each partner."
    )
    document = check_problem(
        await client.patch("/api/partners/acme", json={"cap": "1", "effective_period": "2024-04"}), 409
    )
    assert document["detail"] == ("Terms cannot start in April 2024: it is closed; the first open period is May 2024.")
    assert await row_counts(engine) == before
    made = await make(client, "rate-cards", **rule | {"effective_from": None})
    assert made["effective_from"] is None
    (counting,) = [
        each for each in await get_all(client, "/api/rate-cards", partner="acme") if each["rule_id"] == made["rule_id"]
    ]
    assert counting["counts"] == {"ever": True, "since": "2024-05-01T00:00:00Z", "until": None}
    changed = await client.patch("/api/partners/acme", json={"cap": "1"})
    assert changed.json()["terms_since"] == "2024-05"
    await bill(client, engine, policies, lead("y", action("Other", at="2024-05-01T00:00:00Z")))
    await finish_tasks(engine, policies, settings)
    assert await _values(client) == ["10.00"]
    assert (await get(client, "/leads/y"))["actions"][0]["value"] == "1.00"
