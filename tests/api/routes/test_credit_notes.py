"""Credit notes, cancelling and returns through HTTP (B8)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from billing.bills.verify import difference_in_file
from billing.errors import RuleViolation
from billing.roles import Role
from db.bills import returns
from db.core.engine import transaction
from tests.api.office import Office
from tests.api.world import Json, action, bill, check_problem, get, get_all, lead

APRIL = "2024-04"


@pytest.fixture
async def sales(office: Office) -> dict[str, str]:
    return await office.person("sam", Role.SALES)


@pytest.fixture
async def april(office: Office, sales: dict[str, str]) -> Json:
    """The issued bill of April: 20.00 for two actions, and 4.00 of tax."""
    both = [action(f"Click {day}", at=f"2024-04-{day}T00:00:00Z") for day in (10, 11)]
    await bill(office.client, office.engine, office.policies, lead("lead-1", *both))
    return await issue(office, await office.make(APRIL), sales)


async def issue(office: Office, draft: Json, sales: dict[str, str]) -> Json:
    approved = await office.moved(await office.moved(draft, "submit"), "approve", sales)
    return await office.moved(approved, "issue")


async def note(office: Office, found: Json, **fields: Any) -> Json:
    body = {"bill": found["number"], "reason": "Agreed on the phone."} | fields
    response = await office.client.post("/api/credit-notes", json=body)
    assert response.status_code == 201, response.text
    return cast(Json, response.json())


def line(net: str) -> list[Json]:
    return [{"line": 1, "net": net}]


async def return_action(office: Office, position: int = 0) -> Any:
    found = await get(office.client, "/leads/lead-1")
    path = f"/api/actions/{found['actions'][position]['action_id']}/return"
    return await office.client.post(path, json={"reason": "Wrong number."})


async def test_b08_a_credit_note_goes_the_way_of_a_bill_and_covers_its_own(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    draft = await note(office, april, lines=line("5.00"))
    assert (draft["state"], draft["gross"], draft["corrects"]) == ("draft", "6.00", april["bill_id"])
    assert draft["credit_note"] == {"reason": "Agreed on the phone.", "cancels": False}
    issued = await issue(office, draft, sales)
    assert (issued["number"], issued["state"], issued["due_on"]) == ("ACME-CN-0001", "issued", issued["issued_on"])
    shown = await get(office.client, f"/api/bills/{april['bill_id']}")
    assert (shown["state"], shown["gross"], shown["open"]) == ("issued", "24.00", "18.00")
    await office.work()
    filed = await get(office.client, f"/api/bills/{issued['bill_id']}")
    assert [each["format"] for each in filed["files"]] == ["csv", "json", "pdf", "xlsx"]
    proof = await office.client.get(f"/api/bills/{issued['bill_id']}/files/json")
    assert (difference_in_file(proof.content), proof.json()["issue"]["corrected"]) == (None, {APRIL: "ACME-0001"})
    listed = await get_all(office.client, "/api/bills", period=APRIL)
    assert [each["number"] for each in listed] == ["ACME-CN-0001", "ACME-0001"]
    # Notes take back exactly the tax of the bill, however its lines are divided among them.
    last = await issue(office, await note(office, april, lines=line("15.00")), sales)
    assert (last["tax"], (await get(office.client, f"/api/bills/{april['bill_id']}"))["state"]) == ("3.00", "paid")


async def test_b09_a_credit_note_is_for_its_own_bill_though_another_is_due_first(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    await office.lead_in("2024-05")
    may = await issue(office, await office.make("2024-05"), sales)
    await office.client.patch(f"/api/bills/{may['bill_id']}/dispute", json={"digest": may["digest"], "reason": "No."})
    await issue(office, await note(office, may, lines=line("10.00")), sales)
    shown = [await get(office.client, f"/api/bills/{each['bill_id']}") for each in (april, may)]
    assert [(each["state"], each["open"]) for each in shown] == [("issued", "24.00"), ("paid", "0.00")]


async def test_b08_makers_of_a_credit_note_never_approve_it(office: Office, april: Json) -> None:
    admin = await office.person("ada", Role.ADMIN)
    body = {"bill": april["bill_id"], "lines": line("5.00"), "reason": "Agreed."}
    made = await office.client.post("/api/credit-notes", json=body, headers=admin)
    pending = await office.moved(made.json(), "submit")
    refused = await office.move(pending, "approve", admin, comment="Override.")
    assert "You made this bill" in check_problem(refused, 409)["detail"]


async def test_b08_notes_and_returns_take_back_no_more_than_was_billed(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    assert (await return_action(office)).status_code == 200
    body: Json = {"bill": april["bill_id"], "reason": "Agreed."}
    refused = await office.client.post("/api/credit-notes", json=body | {"lines": line("10.01")})
    assert "Line 1 of the bill has 10.00 left to credit" in check_problem(refused, 409)["detail"]
    await issue(office, await note(office, april, lines=line("0.01")), sales)
    assert "9.99 is left of line 1" in check_problem(await return_action(office, 1), 409)["detail"]
    wrong: list[Json] = [{}, {"lines": line("1.00"), "cancel": True}, {"lines": line("1.00") * 2}, {"cancel": False}]
    for fields in wrong:
        check_problem(await office.client.post("/api/credit-notes", json=body | fields), 400)
    draft = await note(office, april, lines=line("9.99"))
    refused = await office.client.post("/api/credit-notes", json=body | {"bill": draft["bill_id"], "cancel": True})
    assert "not about another credit note" in check_problem(refused, 409)["detail"]


async def test_b08_of_two_notes_beyond_the_line_one_is_issued(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    drafts = [await note(office, april, lines=line("15.00")) for _ in range(2)]
    pending = [await office.moved(each, "submit") for each in drafts]
    approved = [await office.moved(each, "approve", sales) for each in pending]
    answers = await asyncio.gather(*(office.move(each, "issue") for each in approved))
    assert sorted(each.status_code for each in answers) == [200, 409]
    lost = answers[0] if answers[0].status_code == 409 else answers[1]
    assert "Line 1 of the bill has 5.00 left to credit" in check_problem(lost, 409)["detail"]
    assert (await get(office.client, f"/api/bills/{april['bill_id']}"))["open"] == "6.00"


async def test_b08_cancelling_leaves_the_period_closed_and_a_person_makes_the_replacement(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    await issue(office, await note(office, april, lines=line("5.00")), sales)
    body = {"external_id": "p-1", "partner": "acme", "amount": "18.00", "paid_on": "2024-06-01", "reference": "T"}
    assert (await office.client.post("/api/payments", json=body)).status_code == 201
    assert (await return_action(office)).status_code == 200
    draft = await note(office, april, cancel=True)
    assert (draft["gross"], draft["returned_beside"]) == ("18.00", "10.00")
    cancelling = await issue(office, draft, sales)
    assert (cancelling["number"], cancelling["returned_beside"]) == ("ACME-CN-0002", None)
    shown = await get(office.client, f"/api/bills/{april['bill_id']}")
    assert (shown["state"], shown["open"], shown["moves"]) == ("cancelled", "0.00", [])
    history = await get_all(office.client, f"/api/bills/{april['bill_id']}/actions")
    assert [each["move"] for each in history[-3:]] == ["cover", "cover", "cancel"]
    reopening = await office.client.post("/api/partners/acme/periods/2024-04/reopen")
    check_problem(reopening, 409)
    refused = await office.client.post(
        "/api/credit-notes", json={"bill": april["bill_id"], "cancel": True, "reason": "Again."}
    )
    assert "The bill is cancelled" in check_problem(refused, 409)["detail"]
    bills = await get_all(office.client, "/api/bills", partner="acme", period=APRIL, kind="bill")
    assert [each["state"] for each in bills] == ["cancelled"]
    goodwill = {"partner": "acme", "period": APRIL, "text": "Goodwill", "amount": "-2.00", "reason": "late"}
    assert (await office.client.post("/api/adjustments", json=goodwill)).status_code == 201  # and makes the bill (B1)
    replacement = await office.live(APRIL)
    assert (replacement["state"], replacement["gross"]) == ("draft", "21.60")
    issued = await issue(office, replacement, sales)
    assert (issued["number"], issued["applied"], issued["due"]) == ("ACME-0002", "18.00", "3.60")


async def test_b08_a_written_off_bill_takes_neither_note_nor_return(
    office: Office, april: Json, sales: dict[str, str]
) -> None:
    draft = await note(office, april, lines=line("5.00"))
    written = await office.client.post(f"/api/bills/{april['bill_id']}/write-off", json={"reason": "Insolvent."})
    assert written.json()["state"] == "written_off"
    said = "The bill was written off; take the write-off back first."
    refused = await office.client.post(
        "/api/credit-notes", json={"bill": april["bill_id"], "lines": line("1.00"), "reason": "Agreed."}
    )
    assert check_problem(refused, 409)["detail"] == said
    assert check_problem(await office.move(draft, "submit"), 409)["detail"] == said
    assert check_problem(await return_action(office), 409)["detail"] == said


async def test_b09_a_write_off_leaves_what_is_credited_and_comes_with_a_later_bill(office: Office, april: Json) -> None:
    assert (await return_action(office)).status_code == 200
    written = await office.client.post(f"/api/bills/{april['bill_id']}/write-off", json={"reason": "Insolvent."})
    assert (written.json()["state"], written.json()["open"]) == ("issued", "12.00")


async def test_b01_nothing_is_returned_of_a_month_before_billing_began(office: Office) -> None:
    await bill(office.client, office.engine, office.policies, lead("lead-1", action(at="2024-04-10T00:00:00Z")))
    changed = await office.client.patch("/api/partners/acme", json={"billing_from": "2024-05"})
    assert changed.status_code == 200, changed.text
    assert (await office.client.post("/api/partners/acme/periods/2024-04/close")).status_code == 202
    await office.work()
    refused = check_problem(await return_action(office), 409)
    assert refused["detail"] == "Billing of this partner begins with May 2024."


async def test_b08_actions_are_returned_within_the_days_of_the_terms(office: Office) -> None:
    await office.client.patch("/api/partners/acme", json={"return_days": 0, "effective_period": APRIL})
    sales = await office.person("sam", Role.SALES)
    await bill(office.client, office.engine, office.policies, lead("lead-1", action(at="2024-04-10T00:00:00Z")))
    issued = await issue(office, await office.make(APRIL), sales)
    found = await get(office.client, "/leads/lead-1")
    action_id = UUID(found["actions"][0]["action_id"])
    last = datetime.fromisoformat(issued["issued_on"]).replace(hour=23, tzinfo=UTC)
    async with transaction(office.engine) as connection:
        await returns.check(connection, office.policies, action_id, last)
        with pytest.raises(RuleViolation, match=f"could be returned until {issued['issued_on']}, which was 0 days"):
            await returns.check(connection, office.policies, action_id, last + timedelta(hours=1))
