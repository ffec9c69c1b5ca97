"""Mail: whole files in the outbox, or SMTP, whose refusals name nobody."""

import asyncio
import email
import socketserver
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

import pytest

from billing.errors import RuleViolation
from db.core.errors import MailUnavailable
from db.core.settings import Settings
from db.mail.sending import Attachment, Mail, send
from scripts.local.embedded.ports import free_port

MAIL = Mail(
    UUID(int=1),
    ["fin@example.com", "ann@example.com"],
    "Bill ACME-0007 für Mai",
    "Good day,\nhere it is.\n",
    [Attachment("bill.pdf", "application/pdf", b"%PDF")],
)


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


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
    check(read(file.read_bytes()))


async def test_an_outbox_that_cannot_be_written_is_tried_again(sender: Settings) -> None:
    sender.home.mkdir()
    (sender.home / "outbox").write_text("a file")
    with pytest.raises(MailUnavailable, match="The outbox cannot be written: File exists"):
        await send(sender, MAIL)


class Server(socketserver.StreamRequestHandler):
    """As much of SMTP as a sender needs; refuses recipients with `code`."""

    code = 250
    received = b""

    def handle(self) -> None:
        self._say(220)
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say(354)
                lines = iter(self.rfile.readline, b".\r\n")
                type(self).received = b"".join(lines)
                self._say(250)
            elif verb == b"QUIT":
                self._say(221)
                return
            else:
                self._say(self.code if verb == b"RCPT" else 250)

    def _say(self, code: int) -> None:
        self.wfile.write(f"{code} fin@example.com\r\n".encode())


@contextmanager
def smtp_server(code: int) -> Iterator[tuple[str, type[Server]]]:
    class OneServer(Server):
        pass

    OneServer.code = code
    with socketserver.TCPServer(("127.0.0.1", 0), OneServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"smtp://127.0.0.1:{server.server_address[1]}", OneServer
        finally:
            server.shutdown()
            thread.join()


async def test_with_a_server_a_mail_goes_there(sender: Settings) -> None:
    with smtp_server(250) as (url, server):
        await send(sender.model_copy(update={"smtp_url": url}), MAIL)
    check(read(server.received))
    assert not (sender.home / "outbox").exists()


async def test_what_a_server_refuses_for_good_is_not_tried_again_and_names_nobody(sender: Settings) -> None:
    for code, kind, text in (
        (550, RuleViolation, "The mail server refused the mail: 550."),
        (451, MailUnavailable, "The mail server put the mail off: 451"),
    ):
        with smtp_server(code) as (url, _), pytest.raises(kind) as refused:
            await send(sender.model_copy(update={"smtp_url": url}), MAIL)
        assert str(refused.value) == text


async def test_a_server_that_is_away_is_tried_again(sender: Settings) -> None:
    away = sender.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{free_port()}"})
    with pytest.raises(MailUnavailable, match="The mail server cannot be reached: ConnectionRefusedError"):
        await asyncio.wait_for(send(away, MAIL), 5)
