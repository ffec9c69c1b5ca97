"""The account of a partner through HTTP (B9): payments, refunds, opening items, write-offs and disputes."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import asyncpg
import pytest

from billing.roles import Role
from db.bills import records
from db.bills.filters import BillFilter
from db.bills.overdue import among as among_overdue
from db.core.engine import transaction
from tests.api.office import SELLER, Office
from tests.api.world import Json, check_problem, get, get_all, make
from tests.people import new_person, session_headers

APRIL, MAY = "2024-04", "2024-05"


def payment(external_id: str = "pay-1", amount: str = "12.00", **fields: Any) -> Json:
    body = {"external_id": external_id, "partner": "acme", "amount": amount, "paid_on": "2024-06-01"}
    return body | {"reference": f"Transfer {external_id}"} | fields


async def enter(office: Office, kind: str = "payments", status: int = 201, **body: Any) -> Json:
    response = await office.client.post(f"/api/{kind}", json=body)
    assert response.status_code == status, response.text
    return cast(Json, response.json())


async def issued(office: Office, *months: str) -> list[Json]:
    """The issued bills of months, each over 12.00."""
    await office.lead_in(*months)
    return [await office.issued(await office.make(month)) for month in months]


async def shown(office: Office, bill: Json) -> tuple[str, str]:
    found = await get(office.client, f"/api/bills/{bill['bill_id']}")
    return found["state"], found["open"]


async def test_b09_a_payment_is_used_for_what_is_due_first(office: Office) -> None:
    april, may = await issued(office, APRIL, MAY)
    assert [await shown(office, each) for each in (april, may)] == [("issued", "12.00"), ("issued", "12.00")]
    paid = await enter(office, **payment(amount="15.00"))
    assert (paid["amount"], paid["left"], paid["open"], paid["paid_on"]) == ("15.00", "0.00", "0.00", "2024-06-01")
    assert paid["allocations"] == [
        {"bill": april["bill_id"], "kind": "bill", "document": "ACME-0001", "amount": "12.00"},
        {"bill": may["bill_id"], "kind": "bill", "document": "ACME-0002", "amount": "3.00"},
    ]
    assert [await shown(office, each) for each in (april, may)] == [("paid", "0.00"), ("issued", "9.00")]
    for state, number in (("paid", "ACME-0001"), ("issued", "ACME-0002")):
        assert [each["number"] for each in await get_all(office.client, "/api/bills", state=state)] == [number]
    action = (await get_all(office.client, f"/api/bills/{may['bill_id']}/actions"))[-1]
    assert (action["move"], action["from"], action["comment"]) == ("cover", "issued", "3.00, payment pay-1")
    assert await get(office.client, "/api/payments/pay-1") == paid
    assert await get_all(office.client, "/api/payments", partner="acme") == [paid]


async def test_b09_a_payment_is_entered_once(office: Office) -> None:
    (april,) = await issued(office, APRIL)
    body = payment(amount="10.00", allocations=[{"bill": "ACME-0001", "amount": "4.00"}])
    first = await enter(office, **body)
    assert await enter(office, status=200, **body) == first
    others: list[Json] = [{"amount": "10.01"}, {"reference": "x"}, {"paid_on": "2024-06-02"}, {"allocations": []}]
    for other in others:
        refused = await office.client.post("/api/payments", json=body | other)
        assert check_problem(refused, 409)["detail"].startswith("There is a document 'pay-1' already")
    assert await shown(office, april) == ("issued", "2.00")


async def test_b09_a_payment_covers_the_bills_that_it_names_and_is_allocated_anew(office: Office) -> None:
    april, may = await issued(office, APRIL, MAY)
    await enter(office, **payment(allocations=[{"bill": may["bill_id"], "amount": "12.00"}]))
    assert [await shown(office, each) for each in (april, may)] == [("issued", "12.00"), ("paid", "0.00")]
    for amount, said in (("12.01", "12.01 are named, and 12.00 are left."), ("0.00", "must not be 0.00")):
        allocations = {"allocations": [{"bill": "ACME-0001", "amount": amount}]}
        refused = await office.client.patch("/api/payments/pay-1", json=allocations)
        assert said in check_problem(refused, 400 if amount == "0.00" else 409)["detail"]
    allocations = {"allocations": [{"bill": "ACME-0001", "amount": "5.00"}, {"bill": "ACME-0002", "amount": "7.00"}]}
    changed = await office.client.patch("/api/payments/pay-1", json=allocations)
    assert [(each["document"], each["amount"]) for each in changed.json()["allocations"]] == [
        ("ACME-0001", "5.00"),
        ("ACME-0002", "7.00"),
    ]
    assert [await shown(office, each) for each in (april, may)] == [("issued", "7.00"), ("issued", "5.00")]
    unknown = {"allocations": [{"bill": "ACME-0009", "amount": "5.00"}]}
    check_problem(await office.client.patch("/api/payments/pay-1", json=unknown), 404)
    check_problem(await office.client.patch("/api/payments/pay-2", json=allocations), 404)


async def test_b09_what_is_left_is_used_when_the_next_bill_is_issued_and_stands_in_its_seal(office: Office) -> None:
    await enter(office, **payment(amount="17.00"))
    april, may = await issued(office, APRIL, MAY)
    assert [(each["applied"], each["due"], each["state"]) for each in (april, may)] == [
        ("12.00", "0.00", "paid"),
        ("5.00", "7.00", "issued"),
    ]
    assert (await get(office.client, "/api/payments/pay-1"))["left"] == "0.00"


async def test_b09_reversing_a_payment_frees_its_uses(office: Office) -> None:
    april, may = await issued(office, APRIL, MAY)
    await enter(office, **payment())
    await enter(office, **payment("pay-2", "5.00"))
    undone = await office.client.post("/api/payments/pay-1/reverse", json={"reason": "It bounced."})
    assert (undone.json()["left"], undone.json()["allocations"]) == ("0.00", [])
    assert undone.json()["reversed"]["reason"] == "It bounced."
    again = await office.client.post("/api/payments/pay-1/reverse", json={"reason": "Once more."})
    assert (again.status_code, again.json()) == (200, undone.json())
    assert [await shown(office, each) for each in (april, may)] == [("issued", "12.00"), ("issued", "7.00")]
    allocations = {"allocations": [{"bill": "ACME-0001", "amount": "5.00"}]}
    refused = await office.client.patch("/api/payments/pay-1", json=allocations)
    assert check_problem(refused, 409)["detail"] == "The payment was reversed."


async def test_b09_a_refund_is_at_most_what_is_left(office: Office) -> None:
    await issued(office, APRIL)
    await enter(office, **payment(amount="20.00"))
    refund: Json = {"external_id": "r-1", "partner": "acme", "paid_on": "2024-06-02", "reference": "Back"}
    refused = await office.client.post("/api/refunds", json=refund | {"amount": "8.01"})
    assert "At most 8.00 can be refunded" in check_problem(refused, 409)["detail"]
    made = await enter(office, "refunds", **refund, amount="8.00")
    assert (made["open"], made["allocations"][0]["document"]) == ("0.00", "Transfer pay-1")
    undone = await office.client.post("/api/refunds/r-1/reverse", json={"reason": "Wrong account."})
    assert undone.status_code == 200
    assert (await get(office.client, "/api/payments/pay-1"))["left"] == "8.00"


async def test_b09_opening_items_have_either_sign(office: Office) -> None:
    item: Json = {"partner": "acme", "reference": "Old books"}
    owed = await enter(office, "opening-items", **item, external_id="o-1", amount="30.00", due_on="2024-01-31")
    assert (owed["open"], owed["due_on"]) == ("30.00", "2024-01-31")
    await enter(office, "opening-items", **item, external_id="o-2", amount="-12.00")
    owed = await get(office.client, "/api/opening-items/o-1")
    assert (owed["amount"], owed["open"], owed["allocations"][0]["amount"]) == ("30.00", "18.00", "12.00")
    check_problem(await office.client.get("/api/payments/o-1"), 404)
    refused = await office.client.patch("/api/partners/acme", json={"currency": "USD"})
    assert check_problem(refused, 409)["detail"] == "The currency is EUR for good, because the partner has an account."


async def test_b09_finance_writes_off_small_amounts_and_an_admin_any(office: Office) -> None:
    (april,) = await issued(office, APRIL)
    finance, admin = await office.person("fin", Role.FINANCE), await office.person("ada", Role.ADMIN)
    path, reason = f"/api/bills/{april['bill_id']}/write-off", {"reason": "Insolvent."}
    await office.client.put("/api/seller", json=SELLER | {"small_amount": "11.99"})
    refused = await office.client.post(path, json=reason, headers=finance)
    assert "an Admin writes it off" in check_problem(refused, 409)["detail"]
    written = await office.client.post(path, json=reason, headers=admin)
    assert (written.json()["state"], written.json()["open"]) == ("written_off", "0.00")
    assert (await office.client.post(path, json=reason, headers=admin)).json() == written.json()
    back = await office.client.request("DELETE", path, json={"reason": "They paid."}, headers=finance)
    assert (back.json()["state"], back.json()["open"]) == ("issued", "12.00")
    history = await get_all(office.client, f"/api/bills/{april['bill_id']}/actions")
    assert [(each["move"], each["comment"]) for each in history[-2:]] == [
        ("write_off", "12.00: Insolvent."),
        ("take_back_write_off", "They paid."),
    ]
    await office.client.put("/api/seller", json=SELLER | {"small_amount": "12.00"})
    assert (await office.client.post(path, json=reason, headers=finance)).json()["state"] == "written_off"
    for state, found in (("written_off", [april["bill_id"]]), ("paid", []), ("issued", [])):
        assert [each["bill_id"] for each in await get_all(office.client, "/api/bills", state=state)] == found


async def test_b09_credit_covers_a_disputed_bill_by_hand_only(office: Office) -> None:
    april, may = await issued(office, APRIL, MAY)
    path, reason = f"/api/bills/{april['bill_id']}/dispute", {"digest": april["digest"], "reason": "Not ours."}
    disputed = await office.client.patch(path, json=reason)
    assert disputed.json()["disputed"] == "Not ours."
    assert (await office.client.patch(path, json=reason)).status_code == 200
    await enter(office, **payment(amount="20.00"))
    assert [await shown(office, each) for each in (april, may)] == [("issued", "12.00"), ("paid", "0.00")]
    assert (await get(office.client, "/api/payments/pay-1"))["left"] == "8.00"
    stale = await office.client.patch(path, json={"digest": "0" * 64, "reason": None})
    assert "The bill has changed" in check_problem(stale, 409)["detail"]
    ended = await office.client.patch(path, json=reason | {"reason": None})
    assert (ended.json()["disputed"], ended.json()["open"]) == (None, "4.00")
    history = await get_all(office.client, f"/api/bills/{april['bill_id']}/actions")
    assert [each["move"] for each in history[-3:]] == ["dispute", "end_dispute", "cover"]


async def test_b09_two_payments_at_once_never_cover_more_than_is_open(office: Office) -> None:
    (april,) = await issued(office, APRIL)
    named = [{"bill": april["bill_id"], "amount": "7.00"}]
    responses = await asyncio.gather(
        *(office.client.post("/api/payments", json=payment(f"p-{n}", "7.00", allocations=named)) for n in range(2))
    )
    assert sorted(each.status_code for each in responses) == [201, 409]
    assert await shown(office, april) == ("issued", "5.00")
    responses = await asyncio.gather(
        *(office.client.post("/api/payments", json=payment(f"q-{n}", "4.00")) for n in range(2))
    )
    assert sorted(each.json()["left"] for each in responses) == ["0.00", "3.00"]
    assert await shown(office, april) == ("paid", "0.00")


async def test_b09_a_payment_and_an_issue_at_once_leave_no_credit_beside_an_open_bill(office: Office) -> None:
    await office.lead_in(APRIL)
    draft, sales = await office.make(), await office.person("sam", Role.SALES)
    approved = await office.moved(await office.moved(draft, "submit"), "approve", sales)
    answers = await asyncio.gather(
        office.move(approved, "issue"), office.client.post("/api/payments", json=payment(amount="5.00"))
    )
    assert [each.status_code for each in answers] == [200, 201]
    assert await shown(office, draft) == ("issued", "7.00")
    assert (await get(office.client, "/api/payments/pay-1"))["left"] == "0.00"


async def test_b09_the_database_refuses_to_change_an_account_and_to_overdraw_it(office: Office) -> None:
    await issued(office, APRIL)
    await enter(office, **payment(amount="5.00"))
    for statement in (
        "UPDATE account_entries SET amount_minor = 1",
        "DELETE FROM account_entries",
        "UPDATE account_uses SET amount_minor = 1",
        "DELETE FROM account_uses",
        "UPDATE account_rests SET rest_minor = -1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with transaction(office.engine) as connection:
                await connection.execute(statement)


async def test_a_bill_is_overdue_once_its_due_date_has_passed_where_the_partner_is(office: Office) -> None:
    (april,) = await issued(office, APRIL)
    await office.client.patch("/api/partners/acme", json={"timezone": "Pacific/Auckland"})
    due = datetime.fromisoformat(april["due_on"]).replace(tzinfo=UTC)

    async def overdue(at: datetime) -> list[str | None]:
        async with transaction(office.engine, readonly=True) as connection:
            found = await records.page(connection, BillFilter(overdue_at=at), before=None, limit=10)
            listed = await records.page(connection, BillFilter(), before=None, limit=10)
            assert await among_overdue(connection, listed, at) == {head.id for head in found}
        return [head.number for head in found]

    # In Auckland the day after begins 11 to 13 hours before it does in UTC.
    assert await overdue(due + timedelta(hours=10)) == []
    assert await overdue(due + timedelta(hours=14)) == ["ACME-0001"]
    async with transaction(office.engine, readonly=True) as connection:
        assert await records.counts(connection, [BillFilter(state="issued"), BillFilter(overdue_at=due)]) == [1, 0]
    await enter(office, **payment())
    assert await overdue(due + timedelta(hours=14)) == []
    async with transaction(office.engine, readonly=True) as connection:
        assert await records.counts(connection, [BillFilter(state="issued"), BillFilter(state="paid")]) == [0, 1]
    assert (await office.client.get("/api/bills", params={"overdue": "true"})).json()["items"] == []


async def test_b09_a_statement_adds_up_and_ageing_sums_to_what_is_open(office: Office) -> None:
    april, may = await issued(office, APRIL, MAY)
    item: Json = {"partner": "acme", "reference": "Old books", "external_id": "o-1", "amount": "30.00"}
    await enter(office, "opening-items", **item, due_on="2024-01-31")
    await enter(office, **payment(amount="35.00"))
    await office.client.post("/api/payments/pay-1/reverse", json={"reason": "It bounced."})
    await enter(office, **payment("pay-2", "6.00"))
    today = april["issued_on"]
    found = await get(office.client, "/api/partners/acme/statement")
    assert found["entries"] == [
        {"booked_on": today, "paid_on": None, "kind": kind, "document": document, "amount": amount, "balance": balance}
        | ({"paid_on": "2024-06-01"} if kind == "payment" else {})
        for kind, document, amount, balance in (
            ("bill", "ACME-0001", "12.00", "12.00"),
            ("bill", "ACME-0002", "12.00", "24.00"),
            ("opening_item", "Old books", "30.00", "54.00"),
            ("payment", "Transfer pay-1", "-35.00", "19.00"),
            ("reversal", "Transfer pay-1", "35.00", "54.00"),
            ("payment", "Transfer pay-2", "-6.00", "48.00"),
        )
    ]
    assert (found["opening"], found["closing"], found["to"]) == ("0.00", "48.00", today)
    tomorrow = (datetime.fromisoformat(today) + timedelta(days=1)).date().isoformat()
    later = await get(office.client, "/api/partners/acme/statement", **{"from": tomorrow, "to": tomorrow})
    assert (later["opening"], later["entries"], later["closing"]) == ("48.00", [], "48.00")
    wrong = await office.client.get("/api/partners/acme/statement", params={"from": tomorrow, "to": today})
    check_problem(wrong, 400)

    (ages,) = await get_all(office.client, "/api/ageing", as_of=today)
    assert ages == {"partner": "acme", "currency": "EUR", "disputed": "0.00", "left": "0.00", "open": "48.00"} | {
        "not_due": "24.00",
        "over_90": "24.00",
        **dict.fromkeys(("1_30", "31_60", "61_90"), "0.00"),
    }
    late = (datetime.fromisoformat(may["due_on"]) + timedelta(days=31)).date().isoformat()
    assert (await get_all(office.client, "/api/ageing", as_of=late))[0]["31_60"] == "24.00"
    before = (datetime.fromisoformat(today) - timedelta(days=1)).date().isoformat()
    assert (await get_all(office.client, "/api/ageing", as_of=before))[0]["open"] == "0.00"

    ledger = await office.client.get("/api/ledger")
    rows = list(csv.DictReader(io.StringIO(ledger.text)))
    assert [(row["kind"], row["amount"]) for row in rows[-2:]] == [("reversal", "35.00"), ("payment", "-6.00")]
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("48.00")


async def test_p1_a_partner_reads_its_own_statement_only(office: Office) -> None:
    await make(office.client, "partners", external_id="other", name="Other")
    mine = await session_headers(office.engine, await new_person(office.engine, "pat", Role.PARTNER, "acme"))
    mine["Authorization"] = ""
    statement = await office.client.get("/api/partners/acme/statement", headers=mine)
    assert (statement.status_code, statement.json()["closing"]) == (200, "0.00")
    check_problem(await office.client.get("/api/partners/other/statement", headers=mine), 404)
    for path in ("/api/payments", "/api/refunds", "/api/opening-items", "/api/ageing", "/api/ledger"):
        check_problem(await office.client.get(path, headers=mine), 403)
