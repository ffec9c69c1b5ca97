"""Close, reopen, hold, release and return through HTTP (R10, R11)."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import dead_letters
from db.intake.dead_letters import Failure
from db.intake.payloads import leads_from_payload, payload_from_lead
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
    assert (task["kind"], task["state"]) == ("close", "done")
    assert task["result"] == {
        "closed": True,
        "report_version": 1,
        "currency": "EUR",
        "periods": [{"period": "2024-04", "billed": "10.00", "credited": "0.00", "net": "10.00"}],
        "undecided": {"quarantined": 0, "unknown_product": 0, "dead_letters": 0, "complete": True},
    }
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


async def _close(client: httpx.AsyncClient, settings: Settings, engine: AsyncEngine, path: str, **body: Any) -> Json:
    """Close, and the result of the task."""
    closing = await client.post(f"/api/partners/{path}", json=body or None)
    assert closing.status_code == 202, closing.text
    await finish_tasks(engine, Policies(), settings)
    task = await get(client, closing.json()["status_url"])
    assert task["state"] == "done", task
    result: Json = task["result"]
    return result


async def test_a_whole_history_closes_at_once_empty_months_too(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    """Failed before: each month was a request of its own, and empty months were not listed."""
    await make_masters(client)
    await bill(
        client, engine, policies, lead("x", action(at="2024-01-05T00:00:00Z"), action("B", at="2024-04-01T00:00:00Z"))
    )
    before = await row_counts(engine)
    path = "/api/partners/acme/periods/close"
    for body in ({}, {"through": "2024-13"}, {"through": 202404}, {"through": "2024-04", "from": "2024-01"}):
        check_problem(await client.post(path, json=body), 400)
    this_month = f"{datetime.now(UTC):%Y-%m}"
    assert check_problem(await client.post(path, json={"through": this_month}), 409)["detail"].endswith(
        "not ended yet."
    )
    assert await row_counts(engine) == before
    result = await _close(client, settings, engine, "acme/periods/close", through="2024-05")
    figures = [(each["period"], each["billed"]) for each in result["periods"]]
    assert figures == [
        ("2024-01", "10.00"),
        ("2024-02", "0.00"),
        ("2024-03", "0.00"),
        ("2024-04", "10.00"),
        ("2024-05", "0.00"),
    ]
    periods = (await get(client, "/api/partners/acme/periods"))["items"]
    assert [(each["period"], each["billed"], each["closed"]) for each in periods] == [(*each, True) for each in figures]
    assert (await _close(client, settings, engine, "acme/periods/close", through="2024-05"))["periods"] == []
    result = await _close(client, settings, engine, "acme/periods/close", through="2024-06")
    assert [each["period"] for each in result["periods"]] == ["2024-06"]


async def test_a_partner_without_leads_closes_its_months_like_others(
    client: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    await make_masters(client)
    result = await _close(client, settings, engine, "acme/periods/close", through="2024-05")
    nothing = {"billed": "0.00", "credited": "0.00", "net": "0.00"}
    assert result["periods"] == [{"period": "2024-05"} | nothing]
    await _close(client, settings, engine, "acme/periods/2024-06/close")
    periods = (await get(client, "/api/partners/acme/periods"))["items"]
    assert [(each["period"], each["closed"], each["net"]) for each in periods] == [
        ("2024-05", True, "0.00"),
        ("2024-06", True, "0.00"),
    ]
    reports = (await get(client, "/billing/reports", partner="acme"))["items"]
    assert [(each["period"], each["final"], each["totals"]["net"]) for each in reports] == [
        ("2024-06", True, "0.00"),
        ("2024-05", True, "0.00"),
    ]
    assert (await client.post("/api/partners/acme/periods/2024-06/reopen")).status_code == 202
    reports = (await get(client, "/billing/reports"))["items"]
    assert [each["period"] for each in reports] == ["2024-05"]


async def test_a_month_says_what_would_not_be_billed_in_it(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    """Failed before: a month closed without a word of them, dead letters too (M2)."""
    await make_masters(client)
    await client.post("/api/partners", json={"external_id": "other", "name": "Other"})
    await client.post("/api/products", json={"external_id": "others", "partner": "other", "name": "Others"})
    april, may = action(at="2024-04-05T00:00:00Z"), action(at="2024-05-05T00:00:00Z")
    await bill(
        client,
        engine,
        policies,
        lead("held", april),
        lead("unknown customer", april, customer_id="nobody"),
        lead("also in may", may, april, customer_id="nobody"),
        lead("in may", may, customer_id="nobody"),
        lead("another's", april, product_id="others", customer_id="nobody"),
        lead("unknown product", april, product_id="nothing"),
        lead("unknown product in may", may, product_id="nothing"),
    )
    (held,) = await _actions(client, "held")
    assert (await client.post(f"/api/actions/{held['action_id']}/hold", json=WHY)).status_code == 200
    dead = [lead("dead", april), lead("dead in may", may), lead("another's dead", april, product_id="others")]
    await _make_dead_letters(client, engine, *dead)
    await client.post("/leads", json=lead("waits", may))
    shown = await get(client, "/api/partners/acme/periods/2024-04")
    assert shown["undecided"] == {
        "waiting": 1,
        "quarantined": 2,
        "unknown_product": 1,
        "dead_letters": 2,
        "held": 1,
        "complete": True,
    }
    assert (shown["closed"], shown["billed"], shown["net"]) == (False, "0.00", "0.00")
    of_may = {"waiting": 1, "quarantined": 2, "unknown_product": 1, "dead_letters": 2, "held": 0, "complete": True}
    assert (await get(client, "/api/partners/acme/periods/2024-05"))["undecided"] == of_may
    # Failed before: of a history that closes at once, only the last month said so.
    both = {"quarantined": 3, "unknown_product": 2, "dead_letters": 3, "complete": True}
    shown = await get(client, "/api/partners/acme/periods/2024-05", with_earlier="true")
    assert shown["undecided"] == both | {"waiting": 1, "held": 1}
    result = await _close(client, settings, engine, "acme/periods/2024-04/close")
    assert result["undecided"] == {"quarantined": 2, "unknown_product": 1, "dead_letters": 2, "complete": True}
    result = await _close(client, settings, engine, "acme/periods/close", through="2024-06")
    assert result["undecided"] == both
    making = await client.post("/api/bills", json={"partner": "acme", "period": "2024-07"})
    await finish_tasks(engine, policies, settings)
    assert (await get(client, making.json()["status_url"]))["result"]["undecided"] == both


async def _make_dead_letters(client: httpx.AsyncClient, engine: AsyncEngine, *leads: Json) -> None:
    """Dead letters of these leads, and one that cannot be read."""
    accepted = await client.post("/leads", json=list(leads))
    async with transaction(engine) as connection:
        rows = await connection.fetch(
            "DELETE FROM inbox WHERE batch_id = $1 RETURNING *", UUID(accepted.json()["batch_id"])
        )
        failures = [
            Failure(row["id"], row["batch_id"], row["received_at"], uuid4(), payload_from_lead(each), "an error")
            for row in rows
            for each in leads_from_payload(row["payload"])
        ]
        damaged = Failure(0, rows[0]["batch_id"], rows[0]["received_at"], None, b"{", "unreadable")
        await dead_letters.add(connection, [*failures, damaged])


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
    assert [credit[name] for name in ("amount", "billed", "credited", "net")] == ["0.00", "0.00", "10.00", "-10.00"]
    assert credit["status"] == "Credited"
    assert (
        credit["reason"] == "Credited, because it was returned (The customer complained.); it was billed in April 2024."
    )
    assert sum(Decimal(row["net"]) for row in rows) == 0
    page = (await client.get(path, params={"format": "md"})).text
    assert "April 2024 | 10.00 | The customer complained. |" in page


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
