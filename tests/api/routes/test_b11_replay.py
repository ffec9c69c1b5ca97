"""B10, B11: a bill says what the ledger says, and is made again from what it was made from."""

from typing import cast
from uuid import UUID

import pytest

from db.bills import records, replay
from db.core.engine import transaction
from db.ledger.policies import Policies
from tests.api.office import Office
from tests.api.world import Json, action, bill, check_problem, get, lead, make

APRIL, MAY = "2024-04", "2024-05"


async def patch(office: Office, path: str, **body: object) -> None:
    response = await office.client.patch(path, json=body)
    assert response.status_code == 200, response.text


async def issue(office: Office, draft: Json) -> Json:
    """Issue what asks for no approval."""
    return await office.moved(await office.moved(draft, "submit"), "issue")


async def replayed(office: Office, found: Json) -> str | None:
    """What the replay says through the task that people start."""
    started = await office.client.post(f"/api/bills/{found['bill_id']}/replay")
    assert started.status_code == 202, started.text
    await office.work()
    task = await get(office.client, started.json()["status_url"])
    assert (task["state"], task["result"]["number"]) == ("done", found["number"]), task
    return cast(str | None, task["result"]["difference"])


async def replayed_after(office: Office, found: Json, statement: str) -> str | None:
    """What the replay would say if a row had been changed by hand, past every trigger."""
    async with transaction(office.engine) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        undone = connection.transaction()
        await undone.start()
        assert (await connection.execute(statement)).split()[-1] != "0"
        stored = await records.read(connection, UUID(found["bill_id"]))
        assert stored is not None
        said = await replay.difference(connection, Policies(), stored)
        await undone.rollback()
    return said


@pytest.fixture
async def two_months(office: Office) -> tuple[Json, Json]:
    """The issued bills of April and May: duplicates, cap, a late action, a return, overage and an adjustment."""
    await make(office.client, "products", external_id="gadget", partner="acme", name="Gadget")
    agreed = {"monthly_api_limit": 10, "overage_unit_cost": "0.012500", "preferences": {"approvals": []}}
    await patch(office, "/api/partners/acme", cap="25.00", **agreed)
    many = [action(f"Click {day}", at=f"2024-04-{day}T00:00:00Z") for day in (10, 11, 12)]
    same = lead("lead-2", action("Click 10", at="2024-04-20T00:00:00Z"))
    other = lead("lead-3", action(at="2024-04-02T00:00:00Z"), product_id="gadget")
    await bill(office.client, office.engine, office.policies, lead("lead-1", *many), same, other)
    usage = {"partner": "acme", "period": APRIL, "source": "api", "key": "calls", "units": 90}
    assert (await office.client.post("/api/usage", json=usage)).status_code == 201
    goodwill = {"partner": "acme", "period": APRIL, "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    assert (await office.client.post("/api/adjustments", json=goodwill)).status_code == 201
    april = await issue(office, await office.make(APRIL))
    late = lead("lead-4", action("Demo", at="2024-04-30T00:00:00Z"))
    may = lead("lead-5", action(at="2024-05-30T00:00:00Z"), action("Click 11", at="2024-05-29T00:00:00Z"))
    await bill(office.client, office.engine, office.policies, late, may)
    returned = (await get(office.client, "/leads/lead-1"))["actions"][0]["action_id"]
    assert (await office.client.post(f"/api/actions/{returned}/return", json={"reason": "Fraud."})).status_code == 200
    return april, await issue(office, await office.make(MAY))


async def test_b11_a_bill_is_what_it_was_made_from_whatever_changes_later(
    office: Office, two_months: tuple[Json, Json]
) -> None:
    april, may = two_months
    kinds = [line["kind"] for line in april["lines"]], [line["kind"] for line in may["lines"]]
    assert kinds == (["leads", "leads", "overage", "adjustment"], ["leads", "credit"])
    assert [line["late"] for line in may["lines"]] == [1, 0]
    assert may["lines"][0]["duplicate_savings"] == "10.00"  # of an action that April has billed
    dearer = {"partner": "acme", "engagement_level": "High", "amount": "99.00"}
    assert (await office.client.post("/api/rate-cards", json=dearer)).status_code == 201
    await patch(office, "/api/partners/acme", cap=None, tax=None, payment_days=90, name="Acme Inc")
    await patch(office, "/api/products/widget", name="Renamed")
    await office.work()
    assert await replayed(office, april) is None
    assert await replayed(office, may) is None
    part = {"bill": may["number"], "reason": "Agreed.", "lines": [{"line": 1, "net": "3.33"}]}
    note = await issue(office, (await office.client.post("/api/credit-notes", json=part)).json())
    rest = {"bill": may["number"], "reason": "Agreed.", "cancel": True}
    cancelling = await issue(office, (await office.client.post("/api/credit-notes", json=rest)).json())
    usage = {"partner": "acme", "period": MAY, "source": "api", "key": "calls", "units": 50}
    assert (await office.client.post("/api/usage", json=usage)).status_code == 201
    assert [await replayed(office, each) for each in (note, cancelling)] == [None, None]
    cancelled = await get(office.client, f"/api/bills/{may['bill_id']}")
    assert (cancelled["state"], await replayed(office, cancelled)) == ("cancelled", None)


async def test_b11_the_first_difference_is_said_in_one_sentence(office: Office, two_months: tuple[Json, Json]) -> None:
    april, may = two_months
    of_april = {
        "UPDATE actions SET engagement_level = 'Low' WHERE action_type = 'Click 11'": (
            "cap savings of line 2 is 15.00 on the bill and 7.00 by the replay"
        ),
        "UPDATE actions SET occurred_at = '2024-03-01Z' WHERE action_type = 'Click 12'": (
            "late of line 2 is 0 on the bill and 1 by the replay"
        ),
        "UPDATE partner_terms SET cap_minor = 2400": (
            "cap savings of line 2 is 15.00 on the bill and 16.00 by the replay"
        ),
        "UPDATE usage SET units = 91": (
            "text of line 3 is Usage of 90 units, above the monthly limit of 10 on the bill"
            " and Usage of 91 units, above the monthly limit of 10 by the replay"
        ),
        "DELETE FROM actions WHERE outcome = 'duplicate'": "actions of line 2 is 4 on the bill and 3 by the replay",
        "UPDATE billing_terms SET payment_days = 15": "payment days of terms is 14 on the bill and 15 by the replay",
    }
    assert {each: await replayed_after(office, april, each) for each in of_april} == of_april
    of_may = {
        "UPDATE actions SET billed_minor = 900, outcome = 'partly_billed' WHERE action_type = 'Click 10'"
        " AND outcome = 'billed'": "unit price of line 2 is 10.00 on the bill and 9.00 by the replay",
        "UPDATE actions SET billed_minor = 1, outcome = 'partly_billed' WHERE billing_period = 202405": None,
        "DELETE FROM product_periods": None,
    }
    assert {each: await replayed_after(office, may, each) for each in of_may} == of_may


async def test_b11_a_void_bill_is_not_replayed(office: Office) -> None:
    await office.lead_in(APRIL)
    void = await office.moved(await office.make(), "void", reason="Wrong.")
    refused = await office.client.post(f"/api/bills/{void['bill_id']}/replay")
    assert check_problem(refused, 409)["detail"] == "The bill is void; what it was made from may have changed since."


async def test_b10_a_bill_that_the_final_report_does_not_bear_out_goes_nowhere(office: Office) -> None:
    await patch(office, "/api/partners/acme", preferences={"approvals": []})
    await office.lead_in(APRIL)
    found = await office.make()
    wrong = {
        "UPDATE billing_reports SET billed_minor = 1100, gross_minor = 1100": (
            "The bill has leads of 10.00, and the final report billed 11.00."
        ),
        "UPDATE billing_reports SET billed_minor = 1000, gross_minor = 1000, credited_minor = 300": (
            "The bill has credits of 0.00, and the period credited 3.00."
        ),
    }
    for move in ("submit", "issue"):
        for statement, said in wrong.items():
            async with transaction(office.engine) as connection:
                await connection.execute(statement)
            refused = await office.move(found, move)
            assert check_problem(refused, 409)["detail"] == f"{said} Rebuild April 2024, then refresh the bill."
            assert await office.live(APRIL) == found
        async with transaction(office.engine) as connection:
            await connection.execute("UPDATE billing_reports SET credited_minor = 0")
        found = await office.moved(found, move)
    assert found["number"] == "ACME-0001"
