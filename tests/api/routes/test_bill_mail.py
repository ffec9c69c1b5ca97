"""Bills reach people: sending, what bounces, what is put off, and what is tried again (B6)."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from billing.roles import Role
from db.bills.mail import sending as bill_mail
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing, unit_of_work
from db.mail import sending
from tests.api.office import Office
from tests.api.world import Json, check_problem, get, get_all, row_counts
from tests.people import new_person, session_headers
from tests.smtp import MailServer, mail_server
from tests.worker.test_background import Killed


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def posting(office: Office, server: MailServer) -> Office:
    """The office with a mail server."""
    return replace(office, settings=office.settings.model_copy(update={"smtp_url": server.url}))


async def agree(office: Office, **preferences: Any) -> None:
    changed = await office.client.patch("/api/partners/acme", json={"preferences": preferences})
    assert changed.status_code == 200, changed.text


async def issued_bill(office: Office) -> Json:
    """An issued bill whose files are made."""
    await office.lead_in("2024-04")
    await office.issued(await office.make())
    await office.work()
    return await office.live("2024-04")


async def send(office: Office, bill: Json, **query: Any) -> httpx.Response:
    return await office.client.post(f"/api/bills/{bill['bill_id']}/send", json={}, params=query)


async def sent(office: Office, bill: Json) -> Json:
    """A mail that is written, and handed over if it can be."""
    response = await send(office, bill)
    assert response.status_code == 202, response.text
    await office.work()
    return cast(Json, response.json())


async def history(office: Office, bill: Json) -> list[tuple[str, str, str]]:
    """What was done with a bill after its issue: who, what and the comment."""
    found = await get_all(office.client, f"/api/bills/{bill['bill_id']}/actions")
    issue = [each["move"] for each in found].index("issue")
    return [(each["who"]["name"], each["move"], each["comment"]) for each in found[issue + 1 :]]


async def states(office: Office, bill: Json) -> list[dict[str, str]]:
    """Where each mail about a bill stands, the newest first."""
    shown = await get(office.client, f"/api/bills/{bill['bill_id']}")
    return [{to["address"]: to["state"] for to in mail["to"]} for mail in shown["mails"]]


async def test_b06_an_issued_bill_is_sent_with_its_pdf_and_that_is_in_its_history(
    posting: Office, server: MailServer
) -> None:
    await agree(posting, emails=["fin@acme.example", "ann@acme.example"])
    bill = await issued_bill(posting)
    before = await row_counts(posting.engine)
    preview = await send(posting, bill, dry_run=True)
    assert (preview.status_code, await row_counts(posting.engine)) == (200, before)
    mail = await sent(posting, bill)
    assert preview.json() == mail | {"mail_id": None}
    (pdf,) = [file for file in bill["files"] if file["format"] == "pdf"]
    assert mail["attachments"] == [{"name": "ACME-0001.pdf", "size_bytes": pdf["size_bytes"], "sha256": pdf["sha256"]}]
    assert (mail["to"], mail["sent_before"]) == (["fin@acme.example", "ann@acme.example"], 0)
    assert mail["subject"] == "Bill ACME-0001 for April 2024"
    due = datetime.now(UTC).date() + timedelta(days=14)
    assert mail["text"] == (
        "Good day,\n\nhere is our bill ACME-0001 for April 2024.\n\n"
        f"Please pay EUR 12.00 by {due:%B} {due.day}, {due.year} and name ACME-0001.\n\nKind regards\nLeadger Ltd\n"
    )
    ((message, to),) = server.received
    assert to == ["ann@acme.example", "fin@acme.example"]
    assert message["message-id"] == f"<{mail['mail_id']}@localhost>"
    body = message.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == mail["text"]
    (attached,) = message.iter_attachments()
    assert sha256(attached.get_content()).hexdigest() == pdf["sha256"]
    assert await states(posting, bill) == [{"ann@acme.example": "sent", "fin@acme.example": "sent"}]

    again = await sent(posting, bill)
    assert (again["sent_before"], again["mail_id"] == mail["mail_id"], len(server.received)) == (1, False, 2)
    to_both = "to fin@acme.example, ann@acme.example"
    assert await history(posting, bill) == [("tests", "send", to_both)] * 2
    lines = (await get(posting.client, "/api/audit", what="bill.sent"))["items"]
    assert [(line["subject"], line["after"]) for line in lines] == [
        (bill["bill_id"], {"mail_id": each["mail_id"]}) for each in (again, mail)
    ]
    partner = await session_headers(posting.engine, await new_person(posting.engine, "pat", Role.PARTNER, "acme"))
    shown = await posting.client.get(f"/api/bills/{bill['bill_id']}", headers=partner | {"Authorization": ""})
    assert (shown.status_code, shown.json()["mails"]) == (200, None)


async def test_b06_what_cannot_be_sent_is_refused_and_nothing_is_written(office: Office) -> None:
    await office.lead_in("2024-04")
    draft = await office.make()
    refused = check_problem(await send(office, draft), 409)
    assert refused["detail"] == "The bill is draft; only an issued one is sent."
    issued = await office.issued(draft)
    no_address = (
        "There is no address to send bills to: the partner needs e-mails for bills in its terms, or a billing e-mail."
    )
    assert check_problem(await send(office, issued), 409)["detail"] == no_address
    assert (
        await office.client.patch("/api/partners/acme", json={"billing_email": "b@acme.example"})
    ).status_code == 200
    before = await row_counts(office.engine)
    for dry_run in (True, False):
        refused = check_problem(await send(office, issued, dry_run=dry_run), 409)
        assert refused["detail"] == "The PDF of ACME-0001 is not made yet; a task makes it right after the issue."
    stale = await office.client.post(f"/api/bills/{issued['bill_id']}/send", json={"digest": "0" * 64})
    assert check_problem(stale, 409)["detail"].startswith("The bill has changed since you saw it: its digest is ")
    check_problem(await send(office, {"bill_id": "0f8fad5b-d9cb-469f-a165-70867728950e"}), 404)
    assert await row_counts(office.engine) == before
    await office.work()
    assert (await sent(office, issued))["to"] == ["b@acme.example"]
    (file,) = (office.settings.home / "outbox").iterdir()
    assert "ACME-0001.pdf" in file.read_text()


async def test_b06_of_two_who_send_at_once_one_waits_and_sends_no_second_mail(office: Office) -> None:
    await agree(office, emails=["fin@acme.example"])
    bill = await issued_bill(office)
    async with unit_of_work(office.engine, publish_nothing) as uow:
        first = await bill_mail.send(uow, UUID(bill["bill_id"]))
        other = asyncio.create_task(send(office, bill))
        await asyncio.sleep(0.3)
        assert not other.done()
    second = await other
    assert first is not None
    assert (second.status_code, second.json()["mail_id"]) == (200, str(first.mail_id))
    assert await history(office, bill) == [("system", "send", "to fin@acme.example")]


async def test_a_bill_is_sent_by_itself_in_the_language_of_its_partner_and_once(
    posting: Office, server: MailServer
) -> None:
    await agree(posting, emails=["fin@acme.example"], send=True, language="de")
    bill = await issued_bill(posting)
    await posting.work()
    async with transaction(posting.engine) as connection:  # killed after it was sent, the task of the files runs again
        await connection.execute("UPDATE tasks SET state = 'waiting', finished_at = NULL WHERE kind = 'bill_files'")
    for _ in range(2):
        await posting.work()
    ((message, _),) = server.received
    assert message["subject"] == "Rechnung ACME-0001 für April 2024"
    body = message.get_body()
    assert body is not None
    assert "Bitte zahlen Sie EUR 12,00 bis " in body.get_content()
    assert await history(posting, bill) == [("tests", "send", "to fin@acme.example")]


async def test_a_bill_that_cannot_be_sent_by_itself_has_its_files_and_the_task_says_why(office: Office) -> None:
    await agree(office, send=True)
    bill = await issued_bill(office)
    (task,) = (await get(office.client, "/api/tasks", kind="bill_files"))["items"]
    assert (task["state"], len(bill["files"])) == ("done", 4)
    assert task["result"]["not_sent"].startswith("There is no address to send bills to: ")
    async with transaction(office.engine, readonly=True) as connection:
        commits = await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM bill_files")
    assert commits == 1


async def test_credit_notes_are_sent_like_bills(posting: Office, server: MailServer) -> None:
    await agree(posting, emails=["fin@acme.example"])
    bill = await issued_bill(posting)
    await agree(posting, approvals=[])
    wanted = {"bill": bill["bill_id"], "lines": [{"line": 1, "net": "5.00"}], "reason": "too much"}
    draft = (await posting.client.post("/api/credit-notes", json=wanted)).json()
    note = await posting.moved(await posting.moved(draft, "submit"), "issue")
    await posting.work()
    mail = await sent(posting, note)
    assert mail["subject"] == "Credit note ACME-CN-0001 for bill ACME-0001"
    assert "ACME-CN-0001 for bill ACME-0001: EUR 6.00 are credited to your account." in mail["text"]
    ((message, _),) = server.received
    assert [each.get_filename() for each in message.iter_attachments()] == ["ACME-CN-0001.pdf"]


async def test_b06_what_bounces_is_in_the_history_with_the_servers_sentence(
    posting: Office, server: MailServer
) -> None:
    await agree(posting, emails=["fin@acme.example", "gone@acme.example"])
    server.answers["gone@acme.example"] = "550 5.1.1 No such user"
    bill = await issued_bill(posting)
    mail = await sent(posting, bill)
    assert await states(posting, bill) == [{"fin@acme.example": "sent", "gone@acme.example": "bounced"}]
    assert await history(posting, bill) == [
        ("tests", "send", "to fin@acme.example, gone@acme.example"),
        ("system", "bounced", "gone@acme.example: 550 5.1.1 No such user"),
    ]
    (listed,) = (await get(posting.client, "/api/mails", state="bounced"))["items"]
    assert (listed["mail_id"], listed["number"], listed["to"][1]["answer"]) == (
        mail["mail_id"],
        "ACME-0001",
        "550 5.1.1 No such user",
    )
    retried = await posting.client.post("/api/mails/retry", json={})
    assert retried.json() == {"retried": []}
    await agree(posting, emails=["fin@acme.example"])  # the address is mended by today's terms, whatever the month
    assert (await sent(posting, bill))["to"] == ["fin@acme.example"]


async def put_off_and_try_again(posting: Office, by_hours: float = 0) -> None:
    """Let the task of a mail that waits be due, as if so much time had passed."""
    async with transaction(posting.engine) as connection:
        await connection.execute(
            "UPDATE mails SET tried_since = tried_since - make_interval(secs => $1)", by_hours * 3600
        )
    await posting.work()


async def test_what_is_put_off_is_tried_again_only_there_and_given_up_in_the_end(
    posting: Office, server: MailServer
) -> None:
    await agree(posting, emails=["fin@acme.example", "full@acme.example"])
    server.answers["full@acme.example"] = "452 4.2.2 Mailbox full"
    bill = await issued_bill(posting)
    mail = await sent(posting, bill)
    await put_off_and_try_again(posting)
    assert [to for _, to in server.received] == [["fin@acme.example"]]
    assert await states(posting, bill) == [{"fin@acme.example": "sent", "full@acme.example": "waiting"}]
    (task,) = (await get(posting.client, "/api/tasks", kind="send_mail"))["items"]
    assert (task["attempts"], "put off at 1 of 2 addresses" in task["last_error"]) == (2, True)
    assert (await send(posting, bill)).json()["mail_id"] == mail["mail_id"]  # it is still on its way

    await put_off_and_try_again(posting, by_hours=25)
    (letter,) = (await get(posting.client, "/api/mails", state="given_up"))["items"]
    assert letter["to"][1] | {"changed_at": None} == {
        "address": "full@acme.example",
        "state": "given_up",
        "answer": "452 4.2.2 Mailbox full",
        "changed_at": None,
    }
    assert (await history(posting, bill))[-1] == ("system", "given_up", "full@acme.example: 452 4.2.2 Mailbox full")
    (task,) = (await get(posting.client, "/api/tasks", kind="send_mail"))["items"]
    assert (task["state"], task["result"]) == ("done", {"sent": 1, "bounced": 0, "given_up": 1})

    server.answers.clear()
    retried = await posting.client.post("/api/mails/retry", json={"ids": [mail["mail_id"]]})
    assert retried.json() == {"retried": [mail["mail_id"]]}
    assert (await get(posting.client, "/api/audit", what="mails"))["items"][0]["after"] == {"mails": [mail["mail_id"]]}
    await posting.work()
    assert [to for _, to in server.received] == [["fin@acme.example"], ["full@acme.example"]]
    assert len({message["message-id"] for message, _ in server.received}) == 1


async def test_a_mail_server_that_is_away_puts_mail_off(office: Office) -> None:
    away = replace(office, settings=office.settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"}))
    await agree(away, emails=["fin@acme.example"])
    bill = await issued_bill(away)
    await sent(away, bill)
    (mail,) = (await get(away.client, "/api/mails", state="waiting"))["items"]
    assert mail["to"][0]["answer"] == "The mail server cannot be reached: ConnectionRefusedError"
    await office.work()
    assert await states(office, bill) == [{"fin@acme.example": "sent"}]


async def test_killed_after_a_mail_was_handed_over_the_same_mail_goes_again(
    posting: Office, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agree(posting, emails=["fin@acme.example"])
    bill = await issued_bill(posting)
    deliver = sending.deliver

    async def killed(*arguments: Any) -> None:
        await deliver(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending, "deliver", killed)
        with pytest.raises(Killed):
            await sent(posting, bill)
    assert await states(posting, bill) == [{"fin@acme.example": "waiting"}]
    await posting.work()
    assert await states(posting, bill) == [{"fin@acme.example": "sent"}]
    (first, _), (second, _) = server.received
    assert first["message-id"] == second["message-id"]
    assert len(await history(posting, bill)) == 1
