"""What-if through HTTP."""

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

MONTHS = {"partners": ["acme"], "from": "2024-04", "to": "2024-05"}


@pytest.fixture
async def history(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    """Of anna twice 10.00 in April and 15.00 by a rule of Email Campaigns in May; of eve 10.00 in May."""
    await make_masters(client)
    await make(client, "customers", external_id="eve", name="Eve", email="eve@example.com")
    days = [action(f"Call {day}", at=f"2024-04-{day}T00:00:00Z") for day in (10, 11)]
    click = action(at="2024-05-10T00:00:00Z")
    await bill(
        client,
        engine,
        policies,
        lead("1", *days),
        lead("2", click, lead_type="Email Campaign"),
        lead("3", click, customer_id="eve"),
    )


async def looked(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings, **supposed: object
) -> tuple[Json, list[Json]]:
    """The answer once it is done, and all its differences."""
    started = await client.post("/api/what-if", json=MONTHS | supposed)
    assert started.status_code == 202, started.text
    path = f"/api/what-if/{started.json()['task_id']}"
    assert (await get(client, path))["state"] == "waiting"
    await finish_tasks(engine, policies, settings)
    return await get(client, path), await get_all(client, path, limit=2)


@pytest.mark.usefixtures("history")
async def test_other_settings_and_what_they_would_change(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    before = await row_counts(engine)
    prices = [
        {"lead_type": "email campaign", "action_type": "click", "engagement_level": "High", "amount": "16.00"},
        {"partner": "acme", "engagement_level": "High", "amount": "8.00", "effective_from": "2024-05"},
    ]
    result, items = await looked(client, engine, policies, settings, cap="12.00", rates=prices)
    assert (result["state"], result["error"]) == ("done", None)
    assert result["sums"] == [
        {"partner": "acme", "currency": "EUR", "before": "45.00", "after": "28.00", "difference": "-17.00"}
    ]
    assert {
        (each["customer"], each["period"]): (each["before"], each["after"], each["difference"]) for each in items
    } == {
        ("anna", "2024-04"): ("20.00", "12.00", "-8.00"),
        ("anna", "2024-05"): ("15.00", "8.00", "-7.00"),
        ("eve", "2024-05"): ("10.00", "8.00", "-2.00"),
    }
    assert await row_counts(engine) == before | {"tasks": before["tasks"] + 1, "what_if_differences": 3}
    result, items = await looked(client, engine, policies, settings)
    assert (result["sums"][0]["difference"], items) == ("0.00", [])
    _, items = await looked(client, engine, policies, settings, cap=None, dedup_window=1, to="2024-04")
    assert items == []


@pytest.mark.usefixtures("history")
async def test_a_what_if_is_cancelled_and_goes_with_its_task(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    started = (await client.post("/api/what-if", json=MONTHS | {"cap": "1.00"})).json()
    path = f"/api/what-if/{started['task_id']}"
    assert (await client.delete(path)).status_code == 204
    await finish_tasks(engine, policies, settings)
    result = await get(client, path)
    assert (result["state"], result["error"], result["items"]) == ("failed", "It was cancelled.", [])
    other = await client.post("/billing/reports/rebuild", json={"partner": "acme", "period": "2024-04"})
    for method in ("GET", "DELETE"):
        check_problem(await client.request(method, f"/api/what-if/{other.json()['task_id']}"), 404)
    await looked(client, engine, policies, settings, cap="1.00")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM tasks")
    assert (await row_counts(engine))["what_if_differences"] == 0


async def test_what_cannot_be_supposed_is_refused(client: httpx.AsyncClient) -> None:
    await make_masters(client)
    for supposed, pointer in (
        ({"from": "2024-06"}, "#"),
        ({"to": "2034-05"}, "#"),
        ({"cap": "-1.00"}, "#/cap"),
        ({"dedup_window": 0}, "#/dedup_window"),
        ({"rates": [{"engagement_level": "High", "amount": None}]}, "#/rates/0/amount"),
        ({"partners": []}, "#/partners"),
    ):
        problem = check_problem(await client.post("/api/what-if", json=MONTHS | supposed), 400)
        assert problem["errors"][0]["pointer"] == pointer
    check_problem(await client.post("/api/what-if", json=MONTHS | {"partners": ["nobody"]}), 404)


@pytest.mark.usefixtures("history")
async def test_a_caller_has_so_many_waiting(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 1)
    first = await client.post("/api/what-if", json=MONTHS | {"cap": "5.00"})
    before = await row_counts(engine)
    answer = await client.post("/api/what-if", json=MONTHS | {"cap": "6.00"})
    refused = check_problem(answer, 429)
    assert answer.headers["Retry-After"] == "2"
    assert refused["detail"] == "1 what-ifs of yours have not ended; ask for this one after them."
    assert await row_counts(engine) == before
    assert (await client.post("/api/what-if", json=MONTHS | {"cap": "5.00"})).json() == first.json()
