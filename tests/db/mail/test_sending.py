"""Mail: whole files in the outbox, or SMTP, whose refusals name nobody."""

import asyncio
import stat
from collections.abc import Iterator
from email.message import EmailMessage
from uuid import UUID

import pytest

from billing.errors import RuleViolation
from db.core.errors import MailUnavailable
from db.core.settings import Settings
from db.mail.sending import Attachment, Mail, Refusal, deliver, send
from scripts.local.embedded.ports import free_port
from tests.smtp import MailServer, mail_from, mail_server

MAIL = Mail(
    UUID(int=1),
    ["fin@example.com", "ann@example.com"],
    "Bill ACME-0007 für Mai",
    "Good day,\nhere it is.\n",
    [Attachment("bill.pdf", "application/pdf", b"%PDF")],
)


def check(message: EmailMessage) -> None:
    """It is MAIL, whole."""
    assert message["to"] == "fin@example.com, ann@example.com"
    assert message["subject"] == "Bill ACME-0007 für Mai"
    assert message["message-id"] == f"<{UUID(int=1)}@example.com>"
    text = message.get_body()
    assert text is not None
    assert text.get_content().splitlines() == ["Good day,", "here it is."]
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("bill.pdf", b"%PDF")


@pytest.fixture
def sender(settings: Settings) -> Settings:
    return settings.model_copy(update={"mail_from": "Leadger <bills@example.com>"})


async def test_without_a_server_a_mail_is_one_file_that_its_owner_reads(sender: Settings) -> None:
    for _ in range(2):  # sent again it is the same file
        await send(sender, MAIL)
    (file,) = (sender.home / "outbox").iterdir()
    assert file.name == f"{UUID(int=1)}.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    check(mail_from(file.read_bytes()))


async def test_an_outbox_that_cannot_be_written_is_tried_again(sender: Settings) -> None:
    sender.home.mkdir()
    (sender.home / "outbox").write_text("a file")
    with pytest.raises(MailUnavailable, match="The outbox cannot be written: File exists"):
        await send(sender, MAIL)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


async def test_with_a_server_a_mail_goes_there(sender: Settings, server: MailServer) -> None:
    await send(sender.model_copy(update={"smtp_url": server.url}), MAIL)
    ((message, to),) = server.received
    check(message)
    assert to == MAIL.to
    assert not (sender.home / "outbox").exists()


@pytest.mark.parametrize(
    ("whom", "answer", "error", "text"),
    [
        ("fin@example.com", "550 fin@example.com", RuleViolation, "The mail server refused the mail: 550."),
        ("fin@example.com", "451 fin@example.com", MailUnavailable, "The mail server put the mail off: 451"),
        ("DATA", "554 spam of fin@example.com", RuleViolation, "The mail server refused the mail: 554."),
    ],
)
async def test_what_a_server_refuses_for_good_is_not_tried_again_and_names_nobody(
    sender: Settings, server: MailServer, whom: str, answer: str, error: type[Exception], text: str
) -> None:
    server.answers[whom] = answer
    with pytest.raises(error) as refused:
        await send(sender.model_copy(update={"smtp_url": server.url}), MAIL)
    assert str(refused.value) == text


async def test_each_address_is_told_why_it_got_no_mail(sender: Settings, server: MailServer) -> None:
    at_server = sender.model_copy(update={"smtp_url": server.url})
    server.answers["fin@example.com"] = "550 5.1.1  No such\tuser"
    addresses = ["ann@example.com", "weiß@example.com", "fin@example.com"]
    assert await deliver(at_server, MAIL, addresses) == {
        "fin@example.com": Refusal(550, "550 5.1.1 No such user"),
        "weiß@example.com": Refusal(553, "553 This mail server takes no address with letters beyond ASCII."),
    }
    ((message, to),) = server.received
    check(message)  # it names all addresses, also those that it is not for
    assert to == ["ann@example.com"]


async def test_a_server_that_closes_at_one_address_has_taken_the_mail_for_none(
    sender: Settings, server: MailServer
) -> None:
    server.answers["ann@example.com"] = "421 Closing"
    refused = await deliver(sender.model_copy(update={"smtp_url": server.url}), MAIL, MAIL.to)
    assert {address: each.code for address, each in refused.items()} == dict.fromkeys(MAIL.to, 421)
    assert server.received == []


async def test_a_server_that_is_away_is_tried_again(sender: Settings) -> None:
    away = sender.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{free_port()}"})
    with pytest.raises(MailUnavailable, match="The mail server cannot be reached: ConnectionRefusedError"):
        await asyncio.wait_for(send(away, MAIL), 5)
