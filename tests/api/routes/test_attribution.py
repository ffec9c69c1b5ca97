"""Attribution through HTTP: the rows add up to the report under every model, and a partner sees the own."""

import csv
import io
from decimal import Decimal

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.world import Json, action, bill, check_problem, finish_tasks, get, lead, make, make_masters
from tests.people import new_person, session_headers

APRIL = {"partner": "acme", "period": "2024-04"}
BY = ("lead_type", "product", "action_type", "engagement_level", "source")
MODELS = ("first", "last", "linear", "position")


def at(day: int) -> str:
    return f"2024-04-{day:02d}T10:00:00Z"


@pytest.fixture
async def april(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    """Anna sees an ad twice, reads a mail and signs up for 10.00, after the cap and duplicates have had their part."""
    await make_masters(client, cap="30.01")
    await make(client, "rate-cards", action_type="Visit", amount="3.33")
    await make(client, "products", external_id="gadget", partner="acme", name="Gadget")
    await make(client, "customers", external_id="bert", name="Bert", email="bert@example.com")
    await bill(
        client,
        engine,
        policies,
        lead("1", action("Visit", "Low", at(1)), lead_type="Ad", source="web"),
        lead("2", action("Visit 2", "Low", at(2)), lead_type="AD", source="web"),
        lead("3", action("Open", "Medium", at(3)), action("Visit", "Low", at(3)), lead_type="Mail"),
        lead("4", action("Signup", "High", at(4)), action("Demo", "High", at(5)), lead_type="Event"),
        lead("5", action("Call", "High", at(6)), lead_type="Event", product_id="gadget"),
        lead("6", action("Signup", "High", at(7)), lead_type="Event", customer_id="bert"),
        lead("7", action("Call", "Medium", at(8)), lead_type="Mail", customer_id="bert"),
    )
    bert = (await get(client, "/leads/7"))["actions"][0]["action_id"]
    assert (await client.post(f"/api/actions/{bert}/return", json={"reason": "wrong"})).status_code == 200


async def parts(client: httpx.AsyncClient, **query: str) -> dict[str, Json]:
    items = (await get(client, "/api/billing/attribution", **(APRIL | query)))["items"]
    return {each["key"]: each for each in items}


@pytest.mark.usefixtures("april")
async def test_the_rows_add_up_to_the_report_under_every_model(client: httpx.AsyncClient) -> None:
    report = (await get(client, "/billing/reports", **APRIL))["items"][0]["totals"]
    for by in BY:
        for model in MODELS:
            found = list((await parts(client, by=by, model=model, converting="signup,demo")).values())
            sums = {name: sum(Decimal(each["totals"][name]) for each in found) for name in report}
            if by in ("action_type", "engagement_level"):
                sums["leads"] = Decimal(report["leads"])  # a lead is counted with each of its types
            assert sums == {name: Decimal(total) for name, total in report.items()}, (by, model)
            assert sum(Decimal(each["credit"]) for each in found) == Decimal(report["billed"]), (by, model)


@pytest.mark.usefixtures("april")
async def test_a_signup_is_credited_to_the_lead_types_before_it(client: httpx.AsyncClient) -> None:
    found = await parts(client, model="linear", converting="Signup")
    ad, event, mail = (found[key] for key in ("AD", "Event", "Mail"))  # spelled in two ways, a lead type is one
    assert [(each["totals"]["leads"], each["totals"]["actions"], each["customers"]) for each in (ad, event, mail)] == [
        (2, 2, 1),
        (3, 4, 2),
        (2, 3, 1),
    ]
    # Anna: 3.33 + 2.00 by ads, 5.00 by the mail, Signup 10.00, Demo 9.68 of 10.00 and Call 0.00 by the cap of 30.01.
    # Four touches before her signup, two of them ads (5.00) and two of the mail (5.00); bert's has none but itself.
    assert [(each["totals"]["billed"], each["credit"]) for each in (ad, event, mail)] == [
        ("5.33", "10.33"),
        ("29.68", "19.68"),
        ("5.00", "10.00"),
    ]
    assert (event["cost_per_customer"], event["return_rate"]) == ("14.84", "0.0000")
    assert (mail["cost_per_customer"], mail["return_rate"]) == ("5.00", "0.3333")
    assert (await parts(client, model="first", converting="Signup"))["AD"]["credit"] == "15.33"
    assert (await parts(client, model="last", converting="Signup"))["Mail"]["credit"] == "15.00"
    assert await parts(client, model="linear") == found  # Signup is among the configured ones


@pytest.mark.usefixtures("april")
async def test_what_is_returned_after_the_month_is_credited_in_the_next_and_counted_in_its_own(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    assert (await client.post("/api/partners/acme/periods/2024-04/close")).status_code == 202
    await finish_tasks(engine, policies, settings)
    signup = (await get(client, "/leads/6"))["actions"][0]["action_id"]
    assert (await client.post(f"/api/actions/{signup}/return", json={"reason": "wrong"})).status_code == 200
    event = (await parts(client))["Event"]
    assert (event["totals"]["billed"], event["return_rate"]) == ("29.68", "0.2500")
    (may,) = (await get(client, "/api/billing/attribution", partner="acme", period="2024-05"))["items"]
    assert (may["key"], may["totals"]["credited"], may["totals"]["net"]) == ("Event", "10.00", "-10.00")
    assert (may["customers"], may["cost_per_customer"], may["return_rate"], may["credit"]) == (0, None, None, "0.00")


@pytest.mark.usefixtures("april")
async def test_attribution_as_csv(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/billing/attribution", params=APRIL | {"format": "csv", "by": "source"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["key"], row["leads"], row["billed"], row["currency"]) for row in rows] == [
        ("", "5", "34.68", "EUR"),
        ("web", "2", "5.33", "EUR"),
    ]


@pytest.mark.usefixtures("april")
async def test_a_partner_sees_the_own_attribution(app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make(client, "partners", external_id="rival", name="Rival")
    headers = await session_headers(engine, await new_person(engine, "pat", Role.PARTNER, "acme"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as pat:
        own = await get(pat, "/api/billing/attribution", period="2024-04")
        assert own == await get(client, "/api/billing/attribution", **APRIL)
        check_problem(await pat.get("/api/billing/attribution?period=2024-04&partner=rival"), 404)
    for query in ("period=2024-04", "partner=acme&period=2024-13", "partner=acme&period=2024-04&by=x"):
        check_problem(await client.get(f"/api/billing/attribution?{query}"), 400)
    assert (await get(client, "/api/billing/attribution", partner="rival", period="2024-04"))["items"] == []
