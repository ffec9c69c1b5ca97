"""The life of a bill through HTTP and tasks, from a closed month to an issued bill (B1 to B7)."""

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from typing import cast
from uuid import UUID

import asyncpg
import pytest

from billing.bills.states import State
from billing.bills.verify import difference_in_file
from billing.roles import Role
from db.bills import history as bill_history
from db.core import locks
from db.core.actor import SYSTEM
from db.core.engine import transaction
from tests.api.access.test_audit import OF_BILLS
from tests.api.office import Office
from tests.api.world import Json, check_problem, get, get_all, make
from tests.people import new_person, session_headers


async def test_a_month_becomes_an_issued_bill(office: Office) -> None:
    await office.lead_in("2024-04")
    draft = await office.make()
    assert (draft["state"], draft["net"], draft["tax"], draft["gross"]) == ("draft", "10.00", "2.00", "12.00")
    (line,) = draft["lines"]
    assert (line["kind"], line["product"], line["actions"], line["net"]) == ("leads", "widget", 1, "10.00")
    assert draft["moves"] == ["refresh", "adjust", "submit", "void"]
    again = await office.client.post("/api/bills", json={"partner": "acme", "period": "2024-04"})
    assert (again.status_code, again.json()["bill_id"]) == (200, draft["bill_id"])

    sales = await office.person("sam", Role.SALES)
    pending = await office.moved(draft, "submit")
    assert (pending["state"], pending["approvals"]) == ("pending", {"asked": ["any"], "given": []})
    approved = await office.moved(pending, "approve", sales, comment="Fine.")
    assert approved["state"] == "approved"
    assert [(given["by"], given["who"]["name"]) for given in approved["approvals"]["given"]] == [("any", "sam")]

    issued = await office.moved(approved, "issue")
    today = datetime.now(UTC).date()
    assert (issued["number"], issued["issued_on"]) == ("ACME-0001", today.isoformat())
    assert (issued["state"], issued["due"], issued["moves"], len(issued["seal"])) == ("issued", "12.00", [], 64)
    history = await get_all(office.client, f"/api/bills/{issued['bill_id']}/actions")
    assert [(each["move"], each["from"], each["to"]) for each in history] == [
        ("create", None, "draft"),
        ("submit", "draft", "pending"),
        ("approve", "pending", "approved"),
        ("issue", "approved", "issued"),
    ]
    await office.work()
    shown = await get(office.client, f"/api/bills/{issued['bill_id']}")
    assert [file["format"] for file in shown["files"]] == ["csv", "json", "pdf", "xlsx"]
    for file in shown["files"]:
        answer = await office.client.get(file["url"])
        assert sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["content-disposition"] == f'attachment; filename="ACME-0001.{file["format"]}"'
        if file["format"] == "json":
            assert difference_in_file(answer.content) is None
    reopening = await office.client.post("/api/partners/acme/periods/2024-04/reopen")
    assert check_problem(reopening, 409)["detail"].startswith("April 2024 was billed with ACME-0001")


async def test_b01_earlier_months_get_their_bills_first_and_empty_ones_are_skipped(office: Office) -> None:
    await office.lead_in("2024-04", "2024-06")
    june = await office.make("2024-06")
    bills = await get_all(office.client, "/api/bills", partner="acme")
    assert [each["period"] for each in bills] == ["2024-06", "2024-04"]
    month = f"{datetime.now(UTC):%Y-%m}"
    refused = await office.client.post("/api/bills", json={"partner": "acme", "period": month})
    assert "has not ended yet" in check_problem(refused, 409)["detail"]
    before = await office.client.post("/api/bills", json={"partner": "acme", "period": "2024-03"})
    assert check_problem(before, 409)["detail"] == "Billing of this partner begins with April 2024."

    sales = await office.person("sam", Role.SALES)
    approved = await office.moved(await office.moved(june, "submit"), "approve", sales)
    refused = await office.move(approved, "issue")
    assert check_problem(refused, 409)["detail"] == "The bill of April 2024 is issued first."
    await office.issued(await office.live("2024-04"))
    assert (await office.moved(approved, "issue"))["number"] == "ACME-0002"


async def test_b02_leads_after_the_end_of_the_contract_are_billed_and_named_before_closing(office: Office) -> None:
    await office.lead_in("2024-04")
    for last_day, actions in (("2024-04-10", 0), ("2024-04-09", 1), ("2024-03-31", 1)):
        agreed = {"end_date": last_day, "effective_period": "2024-04"}
        assert (await office.client.patch("/api/partners/acme", json=agreed)).status_code == 200
        period = await get(office.client, "/api/partners/acme/periods/2024-04")
        assert (period["after_end"], period["billed"]) == (actions, "10.00"), last_day
        (found,) = await get_all(office.client, "/api/billing-scheduler/pre-close", period="2024-04")
        assert (found["after_end"], found["is_fine"]) == (actions, not actions), last_day
    assert [(line["actions"], line["net"]) for line in (await office.make())["lines"]] == [(1, "10.00")]


async def test_b05_makers_never_approve(office: Office) -> None:
    await office.lead_in("2024-04")
    finance, admin = await office.person("fin", Role.FINANCE), await office.person("ada", Role.ADMIN)
    await office.person("sam", Role.SALES)
    draft = await office.make()
    pending = await office.moved(draft, "submit", admin)
    problem = check_problem(await office.move(pending, "approve", admin, comment="I am the boss."), 409)
    assert "You made this bill" in problem["detail"]
    assert (problem["state"], problem["moves"]) == ("pending", ["recall", "void"])
    key = await office.move(pending, "approve")
    assert check_problem(key, 403)["detail"] == "This is for people who have signed in, and not for keys."
    refused = await office.move(pending, "approve", finance)
    assert "an approval of Customer Success or Sales" in check_problem(refused, 409)["detail"]
    silent = check_problem(await office.move(pending, "approve", await office.person("eve", Role.ADMIN)), 400)
    missing = "is missing: an approval of an Admin overrides those that are asked"
    assert silent["detail"] == f"The comment {missing}."
    assert silent["errors"] == [{"pointer": "#/comment", "detail": missing}]
    success = await office.person("cesar", Role.CUSTOMER_SUCCESS)
    assert "'bill' is needed here" in check_problem(await office.move(pending, "recall", success), 403)["detail"]
    rejected = await office.moved(pending, "reject", success, reason="Wrong month.")
    assert (rejected["state"], rejected["approvals"]["asked"]) == ("rejected", [])
    assert (await office.moved(rejected, "revise", finance))["state"] == "draft"


async def test_b05_todays_terms_say_who_approves_a_bill_of_an_earlier_month(office: Office) -> None:
    await office.lead_in("2024-04")
    await office.person("cesar", Role.CUSTOMER_SUCCESS)
    draft = await office.make()
    asked = {"preferences": {"approvals": [{"by": "customer_success"}, {"by": "sales", "above": "12.00"}]}}
    assert (await office.client.patch("/api/partners/acme", json=asked)).status_code == 200
    pending = await office.moved(draft, "submit")
    assert pending["approvals"]["asked"] == ["customer_success"]
    asked["preferences"]["approvals"][1]["above"] = "11.99"
    assert (await office.client.patch("/api/partners/acme", json=asked)).status_code == 200
    again = await office.moved(pending, "recall")
    refused = await office.move(again, "submit")
    assert "Nobody who is active could give the approvals" in check_problem(refused, 409)["detail"]
    await office.person("sam", Role.SALES)
    assert (await office.moved(again, "submit"))["approvals"]["asked"] == ["customer_success", "sales"]


async def test_b05_who_entered_usage_or_an_adjustment_is_a_maker(office: Office) -> None:
    await office.lead_in("2024-04")
    admin = await office.person("ada", Role.ADMIN)
    adjustment = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    made = await office.client.post("/api/adjustments", json=adjustment, headers=admin)
    assert made.status_code == 201, made.text
    taken = await office.client.delete(f"/api/adjustments/{made.json()['adjustment_id']}", headers=admin)
    assert taken.status_code == 204
    await office.person("sam", Role.SALES)
    pending = await office.moved(await office.make(), "submit")
    refused = await office.move(pending, "approve", admin, comment="Override.")
    assert "You made this bill" in check_problem(refused, 409)["detail"]


async def test_b05_a_deputy_of_the_csm_approves_whoever_it_is(office: Office) -> None:
    await office.lead_in("2024-04")
    csm = await new_person(office.engine, "cesar", Role.CUSTOMER_SUCCESS)
    deputy = await new_person(office.engine, "fay", Role.FINANCE)
    agreed = {"csm": str(csm.id), "require_csm_approval": True}
    assert (await office.client.patch("/api/partners/acme", json=agreed)).status_code == 200
    draft = await office.make()
    gone = await office.client.patch(f"/api/users/{csm.id}", json={"active": False})
    assert gone.status_code == 200
    refused = await office.move(draft, "submit")
    assert "Nobody who is active could give the approvals" in check_problem(refused, 409)["detail"]
    named = {"deputy": {"user": str(deputy.id), "until": "2100-01-01T00:00:00Z"}}
    assert (await office.client.patch(f"/api/users/{csm.id}", json=named)).status_code == 200
    pending = await office.moved(draft, "submit")
    fay = {**await session_headers(office.engine, deputy), "Authorization": ""}
    assert (await office.moved(pending, "approve", fay))["approvals"]["given"][0]["by"] == "csm"


async def test_b03_a_draft_takes_adjustments_over_and_what_is_reviewed_gets_stale(office: Office) -> None:
    await office.lead_in("2024-04")
    await office.person("sam", Role.SALES)
    draft = await office.make()
    goodwill = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    made = await office.client.post("/api/adjustments", json=goodwill)
    adjusted = await office.live("2024-04")
    assert (adjusted["gross"], [line["kind"] for line in adjusted["lines"]]) == ("9.00", ["leads", "adjustment"])
    refused = await office.move(draft, "submit")
    assert "The bill has changed since you saw it" in check_problem(refused, 409)["detail"]
    assert (await office.client.delete(f"/api/adjustments/{made.json()['adjustment_id']}")).status_code == 204
    assert (await office.live("2024-04"))["digest"] == draft["digest"]

    pending = await office.moved(draft, "submit")
    assert (await office.client.post("/api/adjustments", json=goodwill)).status_code == 201
    assert await office.live("2024-04") == pending
    recalled = await office.moved(pending, "recall")
    problem = check_problem(await office.move(recalled, "submit"), 409)
    assert problem["detail"] == "The bill is stale, because line 2 is there only now; recall and refresh it first."
    assert problem["stale"] == {"where": "line 2", "bill": None, "now": "there"}
    fresh = await office.moved(recalled, "refresh")
    assert (fresh["gross"], (await office.moved(fresh, "submit"))["state"]) == ("9.00", "pending")


async def test_b03_what_got_stale_after_its_approval_is_not_issued(office: Office) -> None:
    await office.lead_in("2024-04")
    sales = await office.person("sam", Role.SALES)
    approved = await office.moved(await office.moved(await office.make(), "submit"), "approve", sales)
    goodwill = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    assert (await office.client.post("/api/adjustments", json=goodwill)).status_code == 201
    refused = await office.move(approved, "issue")
    assert "The bill is stale, because line 2 is there only now" in check_problem(refused, 409)["detail"]
    assert (await office.live("2024-04"))["state"] == "approved"


async def test_b06_of_two_at_once_one_wins_and_the_same_again_changes_nothing(office: Office) -> None:
    await office.lead_in("2024-04")
    people = [await office.person("sam", Role.SALES), await office.person("cesar", Role.CUSTOMER_SUCCESS)]
    pending = await office.moved(await office.make(), "submit")
    answers = await asyncio.gather(*(office.move(pending, "approve", who) for who in people))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    first = answers[0].status_code == 200
    winner, loser = (people if first else people[::-1]), answers[first]
    assert "The bill is approved, by " in check_problem(loser, 409)["detail"]
    path = f"/api/bills/{pending['bill_id']}/actions"
    history = await get_all(office.client, path)
    assert (await office.moved(pending, "approve", winner[0]))["state"] == "approved"
    assert await get_all(office.client, path) == history
    issued = await office.moved(pending, "issue")
    sent = [(UUID(pending["bill_id"]), State.ISSUED, State.ISSUED, pending["digest"], None)] * 60
    async with transaction(office.engine) as connection:
        for each in sent:
            await bill_history.add_all(connection, SYSTEM, "send", [each])
    assert (await office.moved(pending, "issue"))["number"] == issued["number"]


async def test_b07_what_the_blocks_lack_is_named(office: Office) -> None:
    await office.lead_in("2024-04")
    await office.client.put("/api/seller", json={"name": "Leadger Ltd"})
    sales = await office.person("sam", Role.SALES)
    approved = await office.moved(await office.moved(await office.make(), "submit"), "approve", sales)
    refused = await office.move(approved, "issue")
    assert "without the seller's address and the seller's tax id" in check_problem(refused, 409)["detail"]


async def test_b07_the_database_refuses_to_change_an_issued_bill(office: Office) -> None:
    await office.lead_in("2024-04")
    issued = await office.issued(await office.make())
    for statement in (
        "UPDATE bills SET net_minor = 1",
        "UPDATE bills SET state = 'draft'",
        "UPDATE bills SET number = 'X-1'",
        "DELETE FROM bills",
        "UPDATE bill_actions SET comment = 'x'",
        "DELETE FROM bill_actions",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with transaction(office.engine) as connection:
                await connection.execute(statement)
    adjustment = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    refused = await office.client.post("/api/adjustments", json=adjustment)
    assert "The bill of April 2024 was issued" in check_problem(refused, 409)["detail"]
    assert await get(office.client, f"/api/bills/{issued['bill_id']}") == issued


async def test_b01_an_adjustment_to_a_closed_period_without_a_bill_makes_the_bill(office: Office) -> None:
    await office.lead_in("2024-03", "2024-05")
    await office.make("2024-05")
    adjustment = {"partner": "acme", "period": "2024-04", "text": "Set-up", "amount": "2.50", "reason": "agreed"}
    assert await get_all(office.client, "/api/bills", partner="acme", period="2024-04") == []
    assert (await office.client.post("/api/adjustments", json=adjustment)).status_code == 201
    live = await office.live("2024-04")
    assert (live["state"], live["gross"], [line["kind"] for line in live["lines"]]) == ("draft", "3.00", ["adjustment"])
    await office.moved(live, "void", reason="Another text.")
    assert (await office.client.post("/api/adjustments", json=adjustment)).status_code == 201
    live = await office.live("2024-04")
    assert (live["state"], live["gross"]) == ("draft", "6.00")
    before_billing = await office.client.post("/api/adjustments", json=adjustment | {"period": "2024-02"})
    assert check_problem(before_billing, 409)["detail"] == "Billing of this partner begins with March 2024."
    for tax in ({"category": "AE", "rate": "20.00"}, {"category": "S", "rate": "0.00"}):
        refused = await office.client.post("/api/adjustments", json=adjustment | {"tax": tax})
        assert check_problem(refused, 400)["errors"][0]["pointer"] == "#/tax"


async def test_b01_billing_begins_with_an_adjustment_that_was_there_before_the_first_lead(office: Office) -> None:
    """Else nobody would ever be asked for it."""
    set_up = {"partner": "acme", "period": "2024-03", "text": "Set-up", "amount": "2.50", "reason": "agreed"}
    entered = (await office.client.post("/api/adjustments", json=set_up)).json()
    later = await office.client.patch("/api/partners/acme", json={"billing_from": "2024-04"})
    assert check_problem(later, 409)["detail"] == (
        "Bills cannot begin with April 2024: there is an adjustment of March 2024; take it back first."
    )
    await office.lead_in("2024-04")
    await office.make("2024-04")
    assert (await office.live("2024-03"))["gross"] == "3.00"
    assert (await office.client.delete(f"/api/adjustments/{entered['adjustment_id']}")).status_code == 204
    moved = await office.client.patch("/api/partners/acme", json={"billing_from": "2024-04"})
    assert moved.status_code == 200, moved.text


async def test_reopening_voids_a_bill_and_adjustments_outlive_it(office: Office) -> None:
    await office.lead_in("2024-04")
    adjustment = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    assert (await office.client.post("/api/adjustments", json=adjustment)).status_code == 201
    draft = await office.make()
    assert (await office.client.post("/api/partners/acme/periods/2024-04/reopen")).status_code == 202
    await office.work()
    voided = await get(office.client, f"/api/bills/{draft['bill_id']}")
    assert (voided["state"], voided["moves"]) == ("void", [])
    history = await get_all(office.client, f"/api/bills/{draft['bill_id']}/actions")
    assert (history[-1]["move"], history[-1]["comment"]) == ("void", "The period was reopened.")
    started = await office.client.post("/api/bills", json={"partner": "acme", "period": "2024-04"})
    assert started.status_code == 202
    await office.work()
    live, *_ = await get_all(office.client, "/api/bills", partner="acme", period="2024-04")
    assert (live["state"], live["gross"]) == ("draft", "9.00")


async def test_a_bill_that_is_issued_while_its_month_is_being_reopened_stays_issued(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: the database refused to void it, and the answer was 500."""
    await office.lead_in("2024-04")
    reviewer = await office.person("sam", Role.SALES)
    approved = await office.moved(await office.moved(await office.make(), "submit"), "approve", reviewer)
    lock = locks.lock_bills_exclusive

    async def issue_first(connection: asyncpg.Connection, partner_id: UUID) -> None:
        monkeypatch.setattr(locks, "lock_bills_exclusive", lock)
        await office.moved(approved, "issue")
        await lock(connection, partner_id)

    monkeypatch.setattr(locks, "lock_bills_exclusive", issue_first)
    reopening = await office.client.post("/api/partners/acme/periods/2024-04/reopen")
    assert check_problem(reopening, 409)["detail"].startswith("April 2024 was billed with ACME-0001")
    assert (await office.live("2024-04"))["state"] == "issued"


async def test_many_bills_are_moved_at_once(office: Office) -> None:
    await office.lead_in("2024-04", "2024-05")
    sales = await office.person("sam", Role.SALES)
    await office.make("2024-05")
    drafts = await get_all(office.client, "/api/bills", partner="acme")
    wanted = [{"bill": each["bill_id"], "digest": each["digest"]} for each in drafts]
    wanted.append({"bill": "0f8fad5b-d9cb-469f-a165-70867728950e", "digest": "0" * 64})
    moved = await office.client.post("/api/bills/moves", json={"move": "submit", "bills": wanted})
    assert [each["status"] for each in moved.json()["items"]] == [200, 200, 404]
    waiting = await office.client.get("/api/bills", params={"waiting_for": "me"}, headers=sales)
    assert [each["bill_id"] for each in waiting.json()["items"]] == [each["bill_id"] for each in drafts]
    approved = await office.client.post("/api/bills/moves", json={"move": "approve", "bills": wanted}, headers=sales)
    assert [each["status"] for each in approved.json()["items"]] == [200, 200, 404]
    refused = await office.client.post("/api/bills/moves", json={"move": "issue", "bills": wanted}, headers=sales)
    check_problem(refused, 403)
    none = await office.client.post("/api/bills/moves", json={"move": "issue", "bills": []})
    assert check_problem(none, 400)["detail"] == "#/bills must have 1 or more items, and has 0."


async def test_p1_a_partner_sees_its_issued_bills_only(office: Office) -> None:
    await office.lead_in("2024-04", "2024-05")
    await make(office.client, "partners", external_id="other", name="Other")
    issued = await office.issued(await office.make("2024-04"))
    draft = await office.make("2024-05")
    mine = await session_headers(office.engine, await new_person(office.engine, "pat", Role.PARTNER, "acme"))
    others = await session_headers(office.engine, await new_person(office.engine, "olga", Role.PARTNER, "other"))
    mine["Authorization"] = others["Authorization"] = ""
    listed = (await office.client.get("/api/bills", headers=mine)).json()["items"]
    assert [each["bill_id"] for each in listed] == [issued["bill_id"]]
    shown = (await office.client.get(f"/api/bills/{issued['bill_id']}", headers=mine)).json()
    assert (shown["number"], shown["approvals"], shown["moves"]) == ("ACME-0001", None, [])
    for bill_id, who in ((draft["bill_id"], mine), (issued["bill_id"], others)):
        check_problem(await office.client.get(f"/api/bills/{bill_id}", headers=who), 404)
    assert (await office.client.get("/api/bills", headers=others)).json()["items"] == []
    check_problem(await office.client.get(f"/api/bills/{issued['bill_id']}/actions", headers=mine), 403)


async def test_p3_every_change_of_bills_and_accounts_is_audited(office: Office) -> None:
    async def send(method: str, path: str, body: Json) -> Json:
        response = await office.client.request(method, f"/api/{path}", json=body)
        assert response.is_success, response.text
        return cast(Json, response.json()) if response.content else {}

    await office.lead_in("2024-04", "2024-05")
    sales = await office.person("sam", Role.SALES)
    goodwill = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-2.50", "reason": "late"}
    adjustment = await send("POST", "adjustments", goodwill)
    draft = await office.make()
    await send("DELETE", f"adjustments/{adjustment['adjustment_id']}", {})
    draft = await office.moved(await office.live("2024-04"), "refresh")
    pending = await office.moved(await office.moved(await office.moved(draft, "submit"), "recall"), "submit")
    pending = await office.moved(await office.moved(pending, "approve", sales), "withdraw", sales)
    revised = await office.moved(await office.moved(pending, "reject", sales, reason="No."), "revise")
    issued = await office.moved(await office.moved(await office.moved(revised, "submit"), "approve", sales), "issue")
    may = await office.make("2024-05")
    await send("POST", "bills/moves", {"move": "submit", "bills": [{"bill": may["bill_id"], "digest": may["digest"]}]})
    await office.moved(may, "void", reason="Wrong.")
    bill = f"bills/{issued['bill_id']}"
    await send("POST", f"{bill}/write-off", {"reason": "bankrupt"})
    await send("DELETE", f"{bill}/write-off", {"reason": "not bankrupt"})
    await send("PATCH", f"{bill}/dispute", {"digest": issued["digest"], "reason": "too much"})
    await send("PATCH", f"{bill}/dispute", {"digest": issued["digest"], "reason": None})
    await send("POST", "credit-notes", {"bill": issued["bill_id"], "cancel": True, "reason": "all wrong"})
    paid = {"external_id": "p", "partner": "acme", "amount": "50.00", "paid_on": "2024-06-01", "reference": "bank"}
    await send("POST", "payments", paid)
    await send("PATCH", "payments/p", {"allocations": [{"bill": "ACME-0001", "amount": "5.00"}]})
    more = {"partner": "acme", "amount": "1.00", "reference": "more"}
    await send("POST", "refunds", more | {"external_id": "r", "paid_on": "2024-06-01"})
    await send("POST", "opening-items", more | {"external_id": "o", "due_on": "2024-06-01"})
    for path in ("refunds/r", "opening-items/o", "payments/p"):
        await send("POST", f"{path}/reverse", {"reason": "mistyped"})
    found = await get_all(office.client, "/api/audit", limit=500)
    assert {each["what"] for each in found} >= OF_BILLS
    approved = next(each for each in found if each["what"] == "bill.approve")
    assert (approved["who"]["kind"], approved["who"]["name"], approved["subject"]) == ("user", "sam", issued["bill_id"])
    assert (approved["before"]["state"], approved["after"]["state"]) == ("pending", "approved")
