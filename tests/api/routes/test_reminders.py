"""Reminders of overdue bills, and telling people of bills that wait for them (B5, B6, B8)."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from billing.roles import Role
from db.bills.mail import notices, reminders
from db.core.engine import transaction
from tests.api.office import Office
from tests.api.routes.test_bill_mail import agree, history, issued_bill
from tests.api.world import Json, get, row_counts
from tests.people import new_person, session_headers
from tests.smtp import MailServer, mail_server
from worker.runtime import Runtime
from worker.tasks.reminders import remind_all, tell_all


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def posting(office: Office, server: MailServer) -> Office:
    """The office with a mail server."""
    return replace(office, settings=office.settings.model_copy(update={"smtp_url": server.url}))


def runtime_of(office: Office) -> Runtime:
    return Runtime(office.settings, office.engine, office.policies, lambda *_: None)


async def overdue(office: Office, bill: Json, days: int) -> None:
    """Let a bill have been due so many days ago, which the database refuses everybody else."""
    async with transaction(office.engine) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE bills SET due_on = (clock_timestamp() AT TIME ZONE 'UTC')::date - $2::int WHERE id = $1",
            UUID(bill["bill_id"]),
            days,
        )


async def reminded(office: Office) -> dict[str, Any]:
    """What the schedule does."""
    counts = await remind_all(runtime_of(office))
    await office.work()
    return counts


async def test_b06_partners_are_reminded_once_at_each_step(posting: Office, server: MailServer) -> None:
    await agree(posting, emails=["fin@acme.example"])
    bill = await issued_bill(posting)
    await overdue(posting, bill, 2)
    assert await reminded(posting) == {"reminded": 0, "not_sent": 0}
    await overdue(posting, bill, 4)
    before = await row_counts(posting.engine)
    (due,) = (await get(posting.client, "/api/reminders"))["items"]
    assert (due["number"], due["days"], due["open"], due["to"]) == ("ACME-0001", 3, "12.00", ["fin@acme.example"])
    assert await row_counts(posting.engine) == before
    assert await reminded(posting) == {"reminded": 1, "not_sent": 0}
    assert (await reminded(posting), (await get(posting.client, "/api/reminders"))["items"]) == (
        {"reminded": 0, "not_sent": 0},
        [],
    )
    ((message, to),) = server.received
    assert (to, message["subject"].startswith("Reminder: bill ACME-0001 was due on ")) == (["fin@acme.example"], True)
    body = message.get_body()
    assert body is not None
    assert "of our bill ACME-0001 for April 2024, EUR 12.00 are still open" in body.get_content()
    assert [each.get_filename() for each in message.iter_attachments()] == ["ACME-0001.pdf"]

    await overdue(posting, bill, 40)
    started = await posting.client.post("/api/reminders")
    assert started.status_code == 202
    await posting.work()
    await posting.work()
    assert await history(posting, bill) == [
        ("system", "remind", "3 days after the due date, to fin@acme.example"),
        ("tests", "remind", "30 days after the due date, to fin@acme.example"),
    ]
    lines = (await get(posting.client, "/api/audit", what="bill.reminded"))["items"]
    assert [line["after"]["days"] for line in lines] == [30, 3]
    assert len(server.received) == 2


async def test_b06_two_schedules_at_once_remind_once(posting: Office, server: MailServer) -> None:
    await agree(posting, emails=["fin@acme.example"])
    bill = await issued_bill(posting)
    await overdue(posting, bill, 3)
    both = await asyncio.gather(remind_all(runtime_of(posting)), remind_all(runtime_of(posting)))
    assert sum(each["reminded"] for each in both) == 1
    await posting.work()
    assert len(server.received) == 1


async def test_b08_nobody_is_reminded_of_what_is_disputed_or_covered_or_who_wants_none(office: Office) -> None:
    bill = await issued_bill(office)
    await overdue(office, bill, 5)
    assert await reminded(office) == {"reminded": 0, "not_sent": 1}
    (due,) = (await get(office.client, "/api/reminders"))["items"]
    assert (due["to"], due["not_sent"].startswith("There is no address to send bills to: ")) == ([], True)
    await agree(office, emails=["fin@acme.example"], remind=False)
    assert await reminded(office) == {"reminded": 0, "not_sent": 0}
    await agree(office, remind=True)
    await office.moved(bill, "dispute", reason="Too much.")
    assert await reminded(office) == {"reminded": 0, "not_sent": 0}
    async with runtime_of(office).unit_of_work() as uow:  # also if it was disputed after the schedule found it
        assert await reminders.remind(uow, UUID(bill["bill_id"]), (3,), datetime.now(UTC)) is None
    ended = await office.client.patch(
        f"/api/bills/{bill['bill_id']}/dispute", json={"digest": bill["digest"], "reason": None}
    )
    assert ended.status_code == 200
    assert len((await get(office.client, "/api/reminders"))["items"]) == 1
    paid = {"external_id": "p", "partner": "acme", "amount": "12.00", "paid_on": "2024-06-01", "reference": "bank"}
    assert (await office.client.post("/api/payments", json=paid)).status_code == 201
    assert await reminded(office) == {"reminded": 0, "not_sent": 0}
    never = replace(office, settings=office.settings.model_copy(update={"reminder_days": ()}))
    assert await reminded(never) == {"reminded": 0, "not_sent": 0}
    assert not [each for each in await history(office, bill) if each[1] == "remind"]


async def test_the_database_keeps_a_step_from_being_reminded_of_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agree(office, emails=["fin@acme.example"])
    bill = await issued_bill(office)
    await overdue(office, bill, 5)
    assert (await reminded(office))["reminded"] == 1
    monkeypatch.setattr(reminders, "step_due", lambda *_: 3)
    async with runtime_of(office).unit_of_work() as uow:
        with pytest.raises(asyncpg.UniqueViolationError, match="pk_reminders"):
            await reminders.remind(uow, UUID(bill["bill_id"]), (3,), datetime.now(UTC))


async def mailed(office: Office, server: MailServer) -> dict[str, tuple[str, str]]:
    """Subject and text of what people were told since the last time, by address."""
    await tell_all(runtime_of(office))
    await office.work()
    found = {}
    for message, to in server.received:
        body = message.get_body()
        assert body is not None
        (address,) = to
        found[address] = message["subject"], body.get_content().replace("\r\n", "\n")
    server.received.clear()
    return found


async def test_b05_whoever_a_bill_waits_for_is_told_once(posting: Office, server: MailServer) -> None:
    await posting.lead_in("2024-04", "2024-05")
    sam = await posting.person("sam", Role.SALES)
    fay = await posting.person("fay", Role.FINANCE)
    await posting.person("ada", Role.ADMIN)
    may = await posting.make("2024-05")
    april = await posting.live("2024-04")
    pending = [await posting.moved(each, "submit", fay) for each in (april, may)]
    told = await mailed(posting, server)
    assert told.keys() == {"sam@example.com"}
    subject, text = told["sam@example.com"]
    assert subject == "2 bills wait for you"
    assert (
        "Bill of Acme for April 2024, EUR 12.00, waits for your approval:\n"
        f"http://127.0.0.1:8000/bills/{april['bill_id']}\n\nBill of Acme for May 2024" in text
    )
    assert await mailed(posting, server) == {}

    rejected = await posting.moved(pending[0], "reject", sam, reason="Wrong month.")
    await posting.moved(pending[1], "recall", fay)
    told = await mailed(posting, server)
    assert told.keys() == {"fay@example.com"}
    assert "was rejected by sam: Wrong month.\n" in told["fay@example.com"][1]
    revised = await posting.moved(rejected, "revise", fay)
    await posting.moved(await posting.moved(revised, "submit", fay), "approve", sam)
    told = await mailed(posting, server)
    assert told.keys() == {"fay@example.com"}  # it was approved before anybody else was told
    assert "Bill of Acme for April 2024, EUR 12.00, is approved and can be issued:\n" in told["fay@example.com"][1]
    (notice, *_) = (await get(posting.client, "/api/mails", kind="notice"))["items"]
    assert (notice["bill_id"], notice["to"][0]["state"]) == (None, "sent")


async def test_b05_a_rejected_bill_of_a_key_or_a_run_waits_for_finance(posting: Office, server: MailServer) -> None:
    await posting.lead_in("2024-04")
    sam = await posting.person("sam", Role.SALES)
    await posting.person("fay", Role.FINANCE)
    pending = await posting.moved(await posting.make(), "submit")
    await posting.moved(pending, "reject", sam, reason="No.")
    assert (await mailed(posting, server)).keys() == {"fay@example.com"}


async def test_b08_finance_is_told_once_of_returns_that_are_asked_for(posting: Office, server: MailServer) -> None:
    await posting.lead_in("2024-04", "2024-05")
    pat = await session_headers(posting.engine, await new_person(posting.engine, "pat", Role.PARTNER, "acme"))
    await posting.person("ada", Role.ADMIN)
    asked = {"leads": ["lead-2024-04"], "reason": "invalid"}
    partner = {**pat, "Authorization": ""}
    (answer,) = (await posting.client.post("/api/returns", json=asked, headers=partner)).json()["items"]
    assert answer["state"] == "asked"
    assert (await mailed(posting, server)).keys() == {"ada@example.com"}  # nobody is Finance yet
    await posting.person("fay", Role.FINANCE)
    asked = {"leads": ["lead-2024-04", "lead-2024-05"], "reason": "invalid"}
    assert (await posting.client.post("/api/returns", json=asked, headers=partner)).status_code == 200
    told = await mailed(posting, server)
    assert told.keys() == {"fay@example.com"}
    subject, text = told["fay@example.com"]
    assert subject == "Returns wait for you"
    assert "Acme: 1 action, EUR 10.00\nleadger returns list --partner acme --state asked\n" in text
    assert await mailed(posting, server) == {}


async def test_b05_a_mail_names_some_of_many_bills(
    posting: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "MOST_LISTED", 1)
    await posting.lead_in("2024-04", "2024-05", "2024-06")
    await posting.person("sam", Role.SALES)
    await posting.make("2024-06")
    listed = (await get(posting.client, "/api/bills"))["items"]
    submitted = {"move": "submit", "bills": [{"bill": each["bill_id"], "digest": each["digest"]} for each in listed]}
    assert (await posting.client.post("/api/bills/moves", json=submitted)).status_code == 200
    ((subject, text),) = (await mailed(posting, server)).values()
    assert (subject, text.count("waits for your approval"), "And 2 more." in text) == ("3 bills wait for you", 1, True)
