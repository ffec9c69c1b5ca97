"""Home: what waits for me, the days of a month, and the stream of figures."""

import asyncio
import re

import asyncpg
import httpx
import msgspec
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages import dashboard
from api.shared import Shared
from api.traffic.streams import MOST_OF_PERSON
from billing.roles import Role
from db.core.engine import transaction
from db.ledger.policies import Policies
from db.reports import day_totals
from db.telemetry import business_figures
from db.telemetry.business_figures import Figures
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, bill, get, lead, make


async def test_days_add_up_to_the_report_and_lie_where_the_partner_is(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, office: Office
) -> None:
    await make(client, "partners", external_id="tokyo", name="Tokyo", timezone="Asia/Tokyo")
    await make(client, "products", external_id="tea", partner="tokyo", name="Tea")
    instants = ("2024-04-09T15:00:00Z", "2024-04-10T14:59:59Z", "2024-04-10T15:00:00Z", "2024-04-20T00:00:00Z")
    leads = [
        lead(f"lead-{at}", action(f"Click {at[:10]}", at=at), product_id="tea", customer_id="anna") for at in instants
    ]
    await bill(client, engine, policies, *leads)
    async with transaction(engine, readonly=True) as connection:
        days = await day_totals.read(connection, 202404)
        assert await day_totals.newest_period(connection, 202612) == 202404
        assert await day_totals.newest_period(connection, 202403) is None
    (report,) = (await get(client, "/billing/reports", partner="tokyo", period="2024-04"))["items"]
    assert [(each.day.day, each.actions, each.billed_minor, each.saved_minor) for each in days] == [
        (10, 2, 2000, 0),
        (11, 1, 0, 1000),  # the same as on the 10th there
        (20, 1, 1000, 0),
    ]
    assert sum(each.billed_minor for each in days) == round(float(report["totals"]["billed"]) * 100)
    assert sum(each.saved_minor for each in days) == round(float(report["totals"]["savings"]) * 100)


async def test_home_shows_what_waits_for_this_person(browser_of: BrowserOf, office: Office) -> None:
    sam = await browser_of("sam", Role.SALES)
    fay = await browser_of("fay", Role.FINANCE)
    await office.lead_in("2024-04")
    draft = await office.make()
    assert "Nothing waits for you." in (await sam.get("/dashboard")).text
    assert f"/bills/{draft['bill_id']}" in (await fay.get("/dashboard")).response.text
    await office.moved(draft, "submit")
    assert f"/bills/{draft['bill_id']}" in (await sam.get("/dashboard")).response.text
    home = await fay.get("/dashboard")
    assert "Nothing waits for you." in home.text
    assert "April 2024 by day" in home.text
    assert "<polyline" in home.response.text


async def test_many_who_look_cost_one_reading_and_one_person_has_so_many_streams(
    browser_of: BrowserOf, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.state.leadger.health = Shared(60.0)
    monkeypatch.setattr(dashboard, "STREAM_S", 0.01)
    read, readings = business_figures.read, []

    async def counted(connection: asyncpg.Connection) -> Figures:
        readings.append(await read(connection))
        return readings[-1]

    monkeypatch.setattr(business_figures, "read", counted)
    sam = await browser_of("sam", Role.SALES)
    streams = await asyncio.gather(*(sam.client.get("/dashboard/live") for _ in range(50)))
    assert [stream.status_code for stream in streams].count(429) == 50 - MOST_OF_PERSON
    assert {stream.text.count("data: ") for stream in streams if stream.status_code == 200} == {1}
    assert len(readings) == 1
    again = await asyncio.gather(*(sam.client.get("/dashboard/live") for _ in range(MOST_OF_PERSON)))
    assert {stream.status_code for stream in again} == {200}, "streams that ended do not count"


async def test_home_shows_what_is_wrong_bills_with_overage_and_the_last_runs(
    browser_of: BrowserOf, office: Office, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    await office.lead_in("2024-03")
    agreed = {"overage_unit_cost": "0.50", "monthly_api_limit": 1, "effective_period": "2024-04"}
    assert (await client.patch("/api/partners/acme", json=agreed)).is_success
    await bill(client, engine, office.policies, lead("mine", action("Call", at="2024-04-03T00:00:00Z")))
    await office.make("2024-03")
    quiet = (await fay.get("/dashboard")).text
    for words in ("Held:", "could not be decided", "Overage", "Last runs", "do not add up"):
        assert words not in quiet, words
    used = {"partner": "acme", "period": "2024-04", "source": "api", "key": "1", "units": 3}
    assert (await client.post("/api/usage", json=used)).is_success
    with_overage = await office.make("2024-04")
    assert [line["kind"] for line in with_overage["lines"]] == ["leads", "overage"]
    await bill(client, engine, office.policies, lead("late", action("Mail", at="2024-05-03T00:00:00Z")))
    (late,) = (await get(client, "/leads/late"))["actions"]
    assert (await client.post(f"/api/actions/{late['action_id']}/hold", json={"reason": "odd"})).is_success
    started = await client.post(
        "/api/billing-scheduler/process-monthly-billing", json={"period": "2024-04", "dry_run": True}
    )
    assert started.status_code == 202, started.text
    async with transaction(engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, lead_id, payload, received_at, error)
            VALUES (1, gen_random_uuid(), gen_random_uuid(), '{}', now(), 'odd')
            """
        )
    home = await fay.get("/dashboard")
    for words in (
        "Held: 10.00 EUR (1 action).",
        "1 lead could not be decided.",
        "Last runs",
    ):
        assert words in home.text, words
    overage = home.response.text.partition("<h2>Overage</h2>")[2].partition("</section>")[0]
    assert re.findall(r'class="row" href="/bills/([^"]+)"', overage) == [with_overage["bill_id"]]
    listed = await fay.get("/bills?state=overage")
    assert re.findall(r'class="row" href="/bills/([^"]+)"', listed.response.text) == [with_overage["bill_id"]]


async def test_a_stream_tells_figures_and_ends_before_a_gateway_ends_it(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dashboard.STREAM_S < 30
    monkeypatch.setattr(dashboard, "STREAM_S", 0.2)
    monkeypatch.setattr(dashboard, "PAUSE_S", 0.1)
    await office.lead_in("2024-04")
    sam = await browser_of("sam", Role.SALES)
    once = (await sam.client.get("/dashboard/figures")).json()
    await asyncio.sleep(1.1)  # so that the stream reads them again
    stream = await sam.client.get("/dashboard/live", headers={"Accept": "text/event-stream"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    retry, *events = stream.text.strip().split("\n\n")
    assert retry == "retry: 1000"
    figures = [msgspec.json.decode(each.removeprefix("data: ")) for each in events]
    assert (once["decided"], type(once["oldest_s"])) == (1, int)
    assert figures[0] == once
    pat = await browser_of("pat", Role.PARTNER, "acme")
    assert (await pat.client.get("/dashboard/live")).status_code == 403
