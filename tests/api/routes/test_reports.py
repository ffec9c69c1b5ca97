"""Billing reports: live, as files, by pages, rebuilt and as written versions."""

import asyncio
import csv
import json
import threading
import tracemalloc
from collections.abc import AsyncIterator
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from api.routes import reports
from billing.identity import partner_of_report, report_uuid
from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger.policies import Policies
from db.reports import live_report, report_lines, report_versions, snapshots
from db.reports.formats import FORMATS, blocks
from db.tasks import records
from scripts.samples.sample_leads import SAMPLES, leads_from_report_rows
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
from tests.changes import changed_reports
from worker.runtime import Runtime
from worker.tasks.reports import snapshot_changed


@pytest.fixture(scope="module")
async def sample(shared_client: httpx.AsyncClient, shared_engine: AsyncEngine) -> Json:
    """The report of the twenty-row sample."""
    masters = json.loads((SAMPLES / "masters.json").read_text())
    for kind in ("partners", "products", "customers"):
        for master in masters[kind]:
            await make(shared_client, kind, **master)
    await bill(shared_client, shared_engine, Policies(), *leads_from_report_rows(masters))
    report: Json
    (report,) = (await get(shared_client, "/billing/reports", partner="acme", period="2024-04"))["items"]
    return report


@given(st.uuids(version=4), st.dates(date(1901, 1, 1), date(2100, 1, 1)))
def test_a_report_id_and_its_period_give_the_partner(partner_id: UUID, day: date) -> None:
    period = day.year * 100 + day.month
    report_id = report_uuid(partner_id, period)
    assert partner_of_report(report_id, period) == partner_id
    assert report_id != partner_id
    assert report_id != report_uuid(partner_id, period + 1)
    assert (report_id.version, report_id.variant) == (partner_id.version, partner_id.variant)


TOTALS = {
    "leads": 20,
    "actions": 20,
    "gross": "194.00",
    "billed": "100.00",
    "credited": "0.00",
    "net": "100.00",
    "duplicate_savings": "90.00",
    "cap_savings": "4.00",
    "savings": "94.00",
    "held": "0.00",
    "returned": "0.00",
}


async def test_the_twenty_row_sample_as_json(shared_client: httpx.AsyncClient, sample: Json) -> None:
    john = (await get(shared_client, "/api/customers/john"))["customer_id"]
    assert {name: value for name, value in sample.items() if name != "products"} == {
        "report_id": str(UUID(sample["report_id"])),
        "version": 0,
        "partner": "acme",
        "partner_name": "Acme Corporation",
        "period": "2024-04",
        "currency": "EUR",
        "as_of": sample["as_of"],
        "final": False,
        "digest": sample["digest"],
        "totals": TOTALS,
        "credited": "0.00",
        "explanation": (
            "100.00 EUR billed of 194.00 EUR gross, 90.00 EUR saved as duplicates, 4.00 EUR saved by the cap."
        ),
        "customers": [
            {
                "customer": {
                    "customer_id": john,
                    "external_id": "john",
                    "name": "John Doe",
                    "email": "john@example.com",
                },
                "totals": TOTALS,
                "credited": "0.00",
            }
        ],
        "customers_next": None,
    }
    assert len(sample["products"]) == 11
    (last,) = (product for product in sample["products"] if product["product"] == "acme-efg")
    assert last["name"] == "Product EFG"
    assert (last["totals"]["billed"], last["totals"]["cap_savings"]) == ("6.00", "4.00")
    one = await get(shared_client, f"/billing/reports/{sample['report_id']}")
    assert one | {"as_of": sample["as_of"]} == sample


async def test_the_twenty_row_sample_as_csv(shared_client: httpx.AsyncClient, sample: Json) -> None:
    response = await shared_client.get(f"/billing/reports/{sample['report_id']}", params={"format": "csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == (f'attachment; filename="2024-04-{sample["report_id"]}.csv"')
    rows = list(csv.DictReader(response.text.splitlines()))
    assert {row["row"] for row in rows} == {"action"}
    actions = rows
    with (SAMPLES / "report-rows.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    names = ("customer_email", "product", "lead_type", "action_type", "engagement_level", "occurred_at")
    assert [[row[name] for name in names] for row in actions] == [[row[name] for name in names] for row in listed]
    assert [row["amount"] for row in actions] == [row["listed_amount"] for row in listed]
    statuses = [row["status"] for row in actions]
    assert statuses[:18] == [row["listed_status"] for row in listed[:18]]
    assert statuses[18:] == ["Partly Billed (Cap)", "Not Billed (Duplicate)"]
    assert set(statuses) == {"Billed", "Not Billed (Duplicate)", "Partly Billed (Cap)"}
    assert [row["duplicate"] for row in actions].count("Yes") == 8
    assert actions[18]["billed"] == "6.00"
    assert actions[18]["cap_savings"] == "4.00"
    assert actions[19]["duplicate_of"] == actions[18]["action_id"]
    path = f"/billing/reports/{sample['report_id']}"
    with_totals = (await shared_client.get(path, params={"format": "csv", "totals": "true"})).text
    assert with_totals.startswith(response.text)
    totals = list(csv.DictReader(with_totals.splitlines()))[20:]
    assert [row["row"] for row in totals] == ["product total"] * 11 + ["total"]
    total = totals[-1]
    assert [total[name] for name in ("amount", "billed", "credited", "net")] == ["194.00", "100.00", "0.00", "100.00"]
    assert (total["duplicate_savings"], total["cap_savings"]) == ("90.00", "4.00")
    assert total["reason"] == sample["explanation"]
    for query in ({"format": "json"}, {"format": "md"}, {"format": "csv", "version": "1"}):
        document = check_problem(await shared_client.get(path, params={**query, "totals": "true"}), 400)
        assert document["errors"][0]["pointer"] == "query:totals"
    asked = await shared_client.get(f"/billing/reports/{sample['report_id']}", headers={"accept": "text/csv"})
    assert asked.text == response.text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json, text/csv;q=0.1", "application/json"),
        ("TEXT/CSV", "text/csv; charset=utf-8"),
        ("text/csv;q=0, */*", "application/json"),
    ],
)
async def test_a_report_comes_in_the_form_that_is_liked_best(
    shared_client: httpx.AsyncClient, sample: Json, accept: str, media_type: str
) -> None:
    path = f"/billing/reports/{sample['report_id']}"
    response = await shared_client.get(path, headers={"accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    check_problem(await shared_client.get(path, headers={"accept": "application/xml"}), 406)


async def test_no_browser_guesses_a_type(shared_client: httpx.AsyncClient, sample: Json) -> None:
    path = f"/billing/reports/{sample['report_id']}"
    for answer in (
        await shared_client.get(path, params={"format": "csv"}),
        await shared_client.get("/nowhere"),
        await shared_client.get("/health"),
        await shared_client.post("/leads", content=b"{"),
        await shared_client.get(path, headers={"authorization": "Bearer wrong"}),
    ):
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_the_twenty_row_sample_as_markdown(shared_client: httpx.AsyncClient, sample: Json) -> None:
    response = await shared_client.get(f"/billing/reports/{sample['report_id']}", params={"format": "md"})
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    lines = response.text.splitlines()
    assert lines[0] == "# Billing report: Acme Corporation, April 2024"
    assert (
        "| john@example.com | Product EFG (acme-efg) | Feedback | Submission | High | 10.00 | No | Partly Billed (Cap) "
        "| 6.00 |" in lines
    )
    assert "| Product EFG (acme-efg) | 2 | 20.00 | 6.00 | 0.00 | 6.00 | 10.00 | 4.00 |" in lines
    assert lines[lines.index("## Total") + 4] == "| 20 | 194.00 | 100.00 | 0.00 | 100.00 | 90.00 | 4.00 |"
    assert lines[-1] == sample["explanation"]


async def test_an_action_after_the_cap_is_not_billed(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client, cap="10.00")
    clicks = [action("A", at="2024-04-01T00:00:00Z"), action("B", at="2024-04-02T00:00:00Z")]
    await bill(client, engine, policies, lead("x", *clicks))
    (report,) = (await get(client, "/billing/reports"))["items"]
    response = await client.get(f"/billing/reports/{report['report_id']}", params={"format": "csv"})
    statuses = [row["status"] for row in csv.DictReader(response.text.splitlines()) if row["row"] == "action"]
    assert statuses == ["Billed", "Not Billed (Cap)"]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1"]


async def test_formulas_and_markup_are_defused(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make(client, "partners", external_id="acme", name="=HYPERLINK()")
    await make(client, "products", external_id="widget", partner="acme", name='=cmd|"/c calc"!A1')
    await make(client, "customers", external_id="anna", name="Anna", email="=x|y@example.com")
    leads = [lead(f"{f}{n}", action(f, at=f"2024-04-0{n + 1}T00:00:00Z"), lead_type=f) for n, f in enumerate(FORMULAS)]
    await bill(client, engine, policies, *leads, lead("md", action("a|b <script>`*[x](y)"), lead_type="a\u00a0\\|"))
    (report,) = (await get(client, "/billing/reports"))["items"]
    text = (await client.get(f"/billing/reports/{report['report_id']}", params={"format": "csv"})).text
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert "'=1+1" in cells
    text = (await client.get(f"/billing/reports/{report['report_id']}", params={"format": "md"})).text
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(row.replace("\\\\", "").replace("\\|", "").split("|")) for row in rows[1:7]} == {11}


async def test_customers_go_by_pages(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await make_masters(client)
    leads = [
        lead(f"lead-{n}", customer_id=f"c-{n}", customer={"name": "C", "email": f"{n}@example.com"}) for n in range(105)
    ]
    await bill(client, engine, policies, *leads)
    (report,) = (await get(client, "/billing/reports"))["items"]
    assert len(report["customers"]) == 100
    assert report["totals"]["billed"] == "1050.00"
    path = f"/billing/reports/{report['report_id']}/customers"
    parts = await get_all(client, path, limit=20)
    assert parts[:100] == report["customers"]
    one = await get(client, f"/billing/reports/{report['report_id']}")
    for cut in (report, one):  # 1000.00 of 1050.00, which it says
        assert (await get(client, path, after=cut["customers_next"]))["items"] == parts[100:]
    (of_one,) = (await get(client, "/billing/reports", customer="c-17"))["items"]
    assert of_one["customers_next"] is None
    assert {part["customer"]["external_id"] for part in parts} == {f"c-{n}" for n in range(105)}
    (only,) = (await get(client, "/billing/reports", customer="c-17"))["items"]
    assert [part["customer"]["external_id"] for part in only["customers"]] == ["c-17"]
    assert (await get(client, "/billing/reports", customer="anna"))["items"] == []


async def test_reports_are_found_by_partner_and_date(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)
    await make(client, "partners", external_id="globex", name="Globex")
    await make(client, "products", external_id="gadget", partner="globex", name="Gadget")
    months = [f"2024-0{n}" for n in range(1, 6)] + ["1901-01"]
    await bill(
        client,
        engine,
        policies,
        *(lead(f"a-{m}", action(at=f"{m}-15T00:00:00Z")) for m in months),
        *(lead(f"g-{m}", action(at=f"{m}-15T00:00:00Z"), product_id="gadget") for m in months),
    )

    async def found(**query: str) -> list[str]:
        items = await get_all(client, "/billing/reports", **{"limit": "5"} | query)
        return [f"{item['partner'][0]} {item['period']}" for item in items]

    everything = await found()
    assert len(everything) == 12
    monkeypatch.setattr(reports, "MOST_PARTS", 3)  # each of these has two: a customer and a product
    page = await get(client, "/billing/reports")
    assert (len(page["items"]), page["next"] is None) == (2, False)
    assert await found() == everything
    assert [each[2:] for each in everything] == sorted([*months, *months], reverse=True)
    assert await found(partner="acme") == [f"a {month}" for month in sorted(months, reverse=True)]
    assert await found(partner="acme", period="2024-03") == ["a 2024-03"]
    assert await found(partner="acme", start_date="2024-02-29", end_date="2024-04-01") == ["a 2024-03", "a 2024-02"]
    assert await found(partner="acme", end_date="2024-01-01") == ["a 1901-01"]
    assert await found(partner="acme", start_date="2024-05-31") == ["a 2024-05"]
    assert await found(partner="acme", start_date="9999-12-31") == []
    assert await found(partner="acme", end_date="0001-01-01") == []
    for item in await get_all(client, "/billing/reports"):
        one = await get(client, f"/billing/reports/{item['report_id']}")
        assert (one["partner"], one["period"], one["digest"]) == (item["partner"], item["period"], item["digest"])
    check_problem(await client.get("/billing/reports", params={"partner": "nobody"}), 404)
    check_problem(await client.get("/billing/reports", params={"period": "2024-13"}), 400)
    check_problem(await client.get(f"/billing/reports/{uuid4()}"), 404)
    check_problem(await client.get(f"/billing/reports/{uuid4()}/customers"), 404)
    check_problem(await client.get(f"/billing/reports/{uuid4()}/versions"), 404)
    async with transaction(engine) as connection:
        plan = await connection.fetch(
            "EXPLAIN SELECT FROM product_periods WHERE partner_id = $1 AND period = $2", uuid4(), 202404
        )
    assert "Index" in plan[0][0] or "Bitmap" in plan[0][0]


async def test_rebuild_corrects_what_differs_and_writes_versions_with_files(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("x", action(), action("Call", "Medium", "2024-04-02T00:00:00Z")))
    (report,) = (await get(client, "/billing/reports"))["items"]
    path = f"/billing/reports/{report['report_id']}"

    async def rebuild() -> Json:
        response = await client.post("/billing/reports/rebuild", json={"partner": "acme", "period": "2024-04"})
        assert response.status_code == 202
        assert response.headers["location"] == response.json()["status_url"]
        assert (await get(client, response.json()["status_url"]))["state"] == "waiting"
        await finish_tasks(engine, policies, settings)
        done = await get(client, response.json()["status_url"])
        assert (done["kind"], done["state"], done["error"]) == ("rebuild", "done", None)
        result: Json = done["result"]
        return result

    first = await rebuild()
    assert first == {
        "customers": 1,
        "actions": 2,
        "verdicts_corrected": 0,
        "counters_corrected": 0,
        "differences": [],
        "report_version": 1,
    }
    assert (await rebuild())["report_version"] is None
    async with transaction(engine) as connection:
        await connection.execute("UPDATE actions SET billed_minor = 0, outcome = 'capped' WHERE value_minor = 500")
        for counters in ("customer_periods", "product_periods"):
            await connection.execute(
                f"UPDATE {counters} SET billed = 1, capped = 1, billed_minor = 1000, cap_savings_minor = 500"
            )
        await connection.execute("UPDATE product_periods SET leads = 17")
    second = await rebuild()
    assert second["verdicts_corrected"] == 1
    assert second["counters_corrected"] >= 1
    assert second["differences"][0]["was"]["outcome"] == "capped"
    assert second["differences"][0]["is"]["outcome"] == "billed"
    live = await get(client, path)
    assert (live["totals"], live["digest"]) == (report["totals"], report["digest"])
    await bill(client, engine, policies, lead("y", action("Visit", "Low", "2024-04-03T00:00:00Z")))
    assert (await rebuild())["report_version"] == 2
    versions = (await get(client, f"{path}/versions"))["items"]
    assert [version["version"] for version in versions] == [2, 1]
    assert [version["totals"]["billed"] for version in versions] == ["17.00", "15.00"]
    assert await get_all(client, f"{path}/versions", limit=1) == versions
    for version in versions:
        assert await get(client, path, version=version["version"], format="json") == version
        assert [file["format"] for file in version["files"]] == ["csv", "md"]
        for file in version["files"]:
            content = (await client.get(file["url"])).content
            assert (len(content), sha256(content).hexdigest()) == (file["size_bytes"], file["sha256"])
    assert b"17.00" in (await client.get(versions[0]["files"][0]["url"])).content
    check_problem(await client.get(path, params={"version": 3}), 404)
    check_problem(await client.get(path, params={"version": 3, "format": "csv"}), 404)
    for file in settings.home.glob("reports/2024-04/*.csv"):
        file.unlink()
    document = check_problem(await client.get(versions[0]["files"][0]["url"]), 404)
    assert document["detail"] == "The csv file of version 2 is no longer in its folder."


async def test_a_hundred_requests_to_rebuild_one_month_are_one_task(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """The months of others, and the same month once it was rebuilt, have tasks of their own."""
    await make_masters(client)

    async def rebuild(period: str) -> str:
        response = await client.post("/billing/reports/rebuild", json={"partner": "acme", "period": period})
        assert response.status_code == 202
        return str(response.json()["task_id"])

    async def stored(period: str) -> int:
        async with transaction(engine, readonly=True) as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM tasks WHERE kind = 'rebuild' AND arguments ->> 'period' = $1", period
            )
        return count

    asked = await asyncio.gather(*[rebuild("2024-04") for _ in range(100)])
    assert (len(set(asked)), await stored("202404")) == (1, 1)
    assert await rebuild("2024-05") not in asked
    async with transaction(engine) as connection:
        await records.finish(connection, UUID(asked[0]), {})
    assert await rebuild("2024-04") not in asked
    assert (await stored("202404"), await stored("202405")) == (2, 1)


async def test_an_unchanged_report_gets_no_version(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead())
    async with transaction(engine) as connection:
        ((partner_id, period),) = await changed_reports(connection)
    await snapshot_changed(Runtime(settings, engine, policies))
    async with transaction(engine) as connection:
        assert await changed_reports(connection) == []
    await bill(client, engine, policies, lead())
    async with transaction(engine) as connection:
        assert await changed_reports(connection) == []
        (written,) = await report_versions.read(connection, report_uuid(partner_id, period))
    assert (written.version, written.totals.actions) == (1, 1)
    assert await snapshots.snapshot(engine, settings, partner_id, period) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"partner": "nobody", "period": "2024-04"}, 404),
        ({"partner": "acme", "period": "2024-4"}, 400),
        ({"partner": "acme", "period": 202404}, 400),
        ({"partner": "acme"}, 400),
        ({"partner": "acme", "period": "2024-04", "force": True}, 400),
    ],
)
async def test_what_cannot_be_rebuilt(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, sample: Json, body: Json, status: int
) -> None:
    before = await row_counts(shared_engine)
    check_problem(await shared_client.post("/billing/reports/rebuild", json=body), status)
    assert await row_counts(shared_engine) == before
    check_problem(await shared_client.get(f"/api/tasks/{uuid4()}"), 404)


async def test_a_long_report_streams_with_flat_memory(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)
    monkeypatch.setattr("db.reports.report_lines.CUSTOMERS_AT_ONCE", 10)
    leads = [
        lead(
            f"lead-{n}",
            action("First"),
            action("Second"),
            customer_id=f"c-{n}",
            customer={"name": "C", "email": f"{n}@example.com"},
        )
        for n in range(1600)
    ]
    await bill(client, engine, policies, *leads)
    (report,) = (await get(client, "/billing/reports"))["items"]
    size = 0
    async with transaction(engine, readonly=True) as connection:
        whole = await live_report.read(connection, *await _found(connection, report))
        tracemalloc.start()
        try:
            async for texts in blocks(connection, whole, list(FORMATS.values())):
                size += sum(map(len, texts))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert size > 1_000_000
    assert peak < size
    response = await client.get(f"/billing/reports/{report['report_id']}", params={"format": "csv"})
    assert response.text.count("\naction,") == 3200


async def _found(connection: asyncpg.Connection, report: Json) -> tuple[UUID, int]:
    found = await live_report.find(connection, UUID(report["report_id"]))
    assert found
    return found


async def test_slow_readers_of_reports_do_not_keep_leads_out(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead())
    (report,) = (await get(client, "/billing/reports"))["items"]
    reading = threading.Event()  # reports are read in a thread of their own

    async def slowly(*_: Any, **__: Any) -> AsyncIterator[Any]:
        await asyncio.to_thread(reading.wait, 10)
        for line in list[Any]():
            yield line

    monkeypatch.setattr(report_lines, "lines", slowly)
    path = f"/billing/reports/{report['report_id']}"
    readers = [asyncio.create_task(client.get(path, params={"format": "csv"})) for _ in range(20)]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(5):
        assert (await client.post("/leads", json=lead("another"))).status_code == 202
        assert (await client.get("/leads")).status_code == 200
    reading.set()
    assert {response.status_code for response in await asyncio.gather(*readers)} == {200}
