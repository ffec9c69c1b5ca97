"""Close, reopen, hold, release and return through HTTP (R10, R11)."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.world import Json, action, bill, check_problem, finish_tasks, get, lead, make_masters, row_counts

WHY = {"reason": " The customer complained. "}


async def _actions(client: httpx.AsyncClient, lead_id: str = "x") -> list[Json]:
    actions: list[Json] = (await get(client, f"/leads/{lead_id}"))["actions"]
    return actions


async def test_close_and_reopen(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(
        client, engine, policies, lead("x", action(at="2024-04-01T00:00:00Z"), action("B", at="2024-05-01T00:00:00Z"))
    )
    before = await row_counts(engine)
    this_month = f"{datetime.now(UTC):%Y-%m}"
    for period, verb, sentence in (
        ("2024-05", "close", "April 2024 must be closed first."),
        (this_month, "close", f"{datetime.now(UTC):%B %Y} has not ended yet."),
        ("2024-04", "reopen", "April 2024 is not closed."),
    ):
        response = await client.post(f"/api/partners/acme/periods/{period}/{verb}")
        assert check_problem(response, 409)["detail"] == sentence
    for period, verb in (("2024-13", "close"), ("1899-12", "close"), ("202404", "reopen"), ("x", "close")):
        check_problem(await client.post(f"/api/partners/acme/periods/{period}/{verb}"), 400)
    check_problem(await client.post("/api/partners/nobody/periods/2024-04/close"), 404)
    assert await row_counts(engine) == before

    closing = await client.post("/api/partners/acme/periods/2024-04/close")
    assert closing.status_code == 202
    late = lead("late", action("Late", at="2024-04-02T00:00:00Z"))
    await client.post("/leads", json=late)
    await finish_tasks(engine, policies, settings)
    task = await get(client, closing.json()["status_url"])
    assert (task["kind"], task["state"], task["result"]) == ("close", "done", {"closed": True, "report_version": 1})
    periods = (await get(client, "/api/partners/acme/periods"))["items"]
    assert [(each["period"], each["closed"]) for each in periods] == [("2024-04", True), ("2024-05", False)]
    assert (await get(client, "/api/partners/acme"))["closed_through"] == "2024-04"
    (report,) = (await get(client, "/billing/reports", period="2024-04"))["items"]
    assert (report["final"], report["version"], report["totals"]["actions"]) == (True, 1, 1)
    document = check_problem(await client.post("/api/partners/acme/periods/2024-04/close"), 409)
    assert document["detail"] == "April 2024 is already closed."

    await bill(client, engine, policies, late)
    (shown,) = await _actions(client, "late")
    assert (shown["late"], shown["period"], shown["billing_period"]) == (True, "2024-04", "2024-05")
    sentence = "it belongs to April 2024, which was closed before it could be billed there, and is billed in May 2024"
    assert sentence in shown["reason"]

    reopening = await client.post("/api/partners/acme/periods/2024-04/reopen")
    assert reopening.status_code == 202
    await finish_tasks(engine, policies, settings)
    assert (await get(client, reopening.json()["status_url"]))["state"] == "done"
    (report,) = (await get(client, "/billing/reports", period="2024-04"))["items"]
    assert report["final"] is False
    (shown,) = await _actions(client, "late")  # it stays in May, and April is open, so "the first open one" was wrong
    assert shown["billing_period"] == "2024-05"
    assert sentence in shown["reason"]


async def test_hold_release_and_return_in_an_open_period(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    clicks = [action(at="2024-04-01T00:00:00Z"), action(at="2024-04-02T00:00:00Z")]
    await bill(client, engine, policies, lead("x", *clicks))
    first, second = await _actions(client)
    assert (first["outcome"], second["outcome"]) == ("billed", "duplicate")
    path = f"/api/actions/{first['action_id']}"
    held = await client.post(f"{path}/hold", json=WHY)
    assert held.status_code == 200
    assert held.json()["outcome"] == "held"
    assert held.json()["reason"] == (
        "Not billed while it is held (The customer complained.); its value is 10.00 EUR (rate for High)."
    )
    assert [each["outcome"] for each in await _actions(client)] == ["held", "billed"]
    assert (await client.post(f"{path}/hold", json=WHY)).status_code == 200
    (report,) = (await get(client, "/billing/reports"))["items"]
    assert (report["totals"]["held"], report["totals"]["billed"]) == ("10.00", "10.00")
    assert (await client.post(f"{path}/release", json=WHY)).json()["outcome"] == "billed"
    document = check_problem(await client.post(f"{path}/release", json=WHY), 409)
    assert document["detail"] == "The action is not held or returned."
    assert (await client.post(f"{path}/return", json=WHY)).json()["outcome"] == "returned"
    assert [each["outcome"] for each in await _actions(client)] == ["returned", "billed"]
    check_problem(await client.post(f"{path}/hold", json=WHY), 409)
    (report,) = (await get(client, "/billing/reports"))["items"]
    assert (report["totals"]["returned"], report["totals"]["billed"]) == ("10.00", "10.00")
    assert (await client.post(f"{path}/release", json=WHY)).json()["outcome"] == "billed"
    assert [each["outcome"] for each in await _actions(client)] == ["billed", "duplicate"]
    (report,) = (await get(client, "/billing/reports"))["items"]
    assert (report["totals"]["returned"], report["totals"]["billed"]) == ("0.00", "10.00")


async def test_r3_correcting_an_action(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    """Failed before: there was no way to correct one, and sent again it was billed twice."""
    await make_masters(client)
    await bill(client, engine, policies, lead("x"))
    (wrong,) = await _actions(client)
    path = f"/api/actions/{wrong['action_id']}/correct"
    for right, pointer in (
        ({}, "#"),
        ({"engagement_level": "Huge"}, "#/engagement_level"),
        ({"occurred_at": "2200-01-01T00:00:00Z"}, "#/occurred_at"),
        ({"lead_type": "x"}, "#/lead_type"),
    ):
        document = check_problem(await client.post(path, json=WHY | right), 400)
        assert [error["pointer"] for error in document["errors"]] == [pointer]
    check_problem(await client.post(path, json=WHY | {"engagement_level": "high"}), 409)
    assert await _actions(client) == [wrong]
    corrected = [await client.post(path, json=WHY | {"engagement_level": "Low"}) for _ in range(2)]
    assert [each.status_code for each in corrected] == [200, 200]
    assert corrected[0].json() == corrected[1].json()
    returned, right = sorted(await _actions(client), key=lambda each: each["outcome"], reverse=True)
    assert right == corrected[0].json()
    assert (right["outcome"], right["billed"], right["corrects"]) == ("billed", "2.00", wrong["action_id"])
    assert (returned["outcome"], returned["billed"]) == ("returned", "0.00")
    assert returned["corrected_by"] == right["action_id"]
    assert returned["reason"].endswith(f"it was corrected, and action {right['action_id']} stands for it.")
    assert right["reason"].endswith(f"it corrects action {wrong['action_id']}.")
    missing = "/api/actions/00000000-0000-0000-0000-000000000000/correct"
    check_problem(await client.post(missing, json=WHY | {"engagement_level": "Low"}), 404)


async def test_returning_a_frozen_action_credits_it_once(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("x", action(at="2024-04-01T00:00:00Z")))
    await client.post("/api/partners/acme/periods/2024-04/close")
    await finish_tasks(engine, policies, settings)
    (frozen,) = await _actions(client)
    path = f"/api/actions/{frozen['action_id']}"
    document = check_problem(await client.post(f"{path}/hold", json=WHY), 409)
    assert document["detail"] == "April 2024 is closed; its verdicts never change."
    for _ in range(2):
        returned = await client.post(f"{path}/return", json=WHY)
        assert returned.status_code == 200
        assert (returned.json()["credited"], returned.json()["credited_in"]) == ("10.00", "2024-05")
        assert returned.json()["outcome"] == "billed"
    may, april = (await get(client, "/billing/reports"))["items"]
    assert (april["totals"]["billed"], april["credited"]) == ("10.00", "0.00")
    assert (may["period"], may["totals"]["billed"], may["credited"]) == ("2024-05", "0.00", "10.00")
    assert (await get(client, f"/billing/reports/{may['report_id']}"))["credited"] == "10.00"
    await bill(client, engine, policies, lead("y", action(at="2024-05-02T00:00:00Z")))
    assert (await _actions(client, "y"))[0]["outcome"] == "billed"
    path = f"/billing/reports/{may['report_id']}"
    rows = list(csv.DictReader((await client.get(path, params={"format": "csv"})).text.splitlines()))
    (credit,) = [row for row in rows if row["row"] == "credit"]
    assert (credit["amount"], credit["billed"], credit["status"]) == ("-10.00", "-10.00", "Credited")
    assert (
        credit["reason"] == "Credited, because it was returned (The customer complained.); it was billed in April 2024."
    )
    assert sum(Decimal(row["billed"]) for row in rows if row["row"] in ("action", "credit")) == 0
    page = (await client.get(path, params={"format": "md"})).text
    assert "April 2024 | -10.00 | The customer complained. |" in page


async def test_what_cannot_be_held(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead())
    (shown,) = await _actions(client, "lead-1")
    for verb in ("hold", "release", "return"):
        check_problem(await client.post(f"/api/actions/{uuid4()}/{verb}", json=WHY), 404)
        check_problem(await client.post(f"/api/actions/x/{verb}", json=WHY), 400)
        bodies: list[Any] = [{}, {"reason": ""}, {"reason": "x" * 2001}, {"reason": "a\0"}, {"reason": 1}, {"x": 1}]
        for body in bodies:
            check_problem(await client.post(f"/api/actions/{shown['action_id']}/{verb}", json=body), 400)
    check_problem(await client.get(f"/api/actions/{uuid4()}"), 404)
    assert await _actions(client, "lead-1") == [shown]
