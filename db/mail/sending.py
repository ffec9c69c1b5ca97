"""Sending mail: by SMTP_URL, or without it as an .eml file into LEADGER_HOME/outbox.

Call it from a background task, which is tried again: a mail may come twice, and then has the same id. It is no part of
any transaction.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from billing.errors import RuleViolation
from db.core.errors import MailUnavailable
from db.core.settings import Settings

_POLICY = SMTP.clone(max_line_length=250)
"""A link stays in one line, so that it can be copied from a file of the outbox."""

_TIMEOUT_S = 20.0
_PERMANENT = 500
PUT_OFF = 421
"""The code of a server that takes no mail just now."""
_BEYOND_ASCII = (553, b"This mail server takes no address with letters beyond ASCII.")
_LONGEST_ANSWER = 500


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail; `kind` is its media type, like "application/pdf"."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one or more addresses. `id` stays the same when it is sent again."""

    id: UUID
    to: Sequence[str]
    subject: str
    text: str
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What keeps a mail from an address: `code` and `answer` of the server. It is final or may pass."""

    code: int
    answer: str

    @property
    def is_final(self) -> bool:
        """Whether trying again is of no use."""
        return self.code >= _PERMANENT


async def send(settings: Settings, mail: Mail) -> None:
    """Hand a mail over to all its addresses. MailUnavailable if that may succeed later, RuleViolation if it never will.

    A refusal may name people, so its code alone is told.
    """
    refused = await deliver(settings, mail, mail.to)
    if not refused:
        return
    named = ", ".join(sorted({str(each.code) for each in refused.values()}))
    if all(each.is_final for each in refused.values()):
        raise RuleViolation(f"The mail server refused the mail: {named}.")
    raise MailUnavailable(f"The mail server put the mail off: {named}")


async def deliver(settings: Settings, mail: Mail, addresses: Sequence[str]) -> Mapping[str, Refusal]:
    """Hand a mail over to some of its addresses; returns those that it was refused for.

    MailUnavailable if the server takes no mail of ours at all just now.
    """
    message = _message(settings, mail)
    if settings.smtp_url:
        return await asyncio.to_thread(_deliver_by_smtp, settings.smtp_url, message, addresses)
    await asyncio.to_thread(_write, settings.home / "outbox", mail.id, message)
    return {}


def _message(settings: Settings, mail: Mail) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"], message["To"] = settings.mail_from, ", ".join(mail.to)
    message["Subject"], message["Date"] = mail.subject, formatdate(usegmt=True)
    message["Message-ID"] = f"<{mail.id}@{parseaddr(settings.mail_from)[1].rpartition('@')[2]}>"
    message.set_content(mail.text)
    for attachment in mail.attachments:
        main, _, sub = attachment.kind.partition("/")
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name)
    return message


def _write(outbox: Path, mail_id: UUID, message: EmailMessage) -> None:
    """Write the file under another name first, so that whoever looks finds whole mails, readable by the owner only."""
    try:
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = outbox / f"{mail_id}.part"
        part.touch(mode=0o600)
        part.write_bytes(message.as_bytes())
        part.replace(outbox / f"{mail_id}.eml")
    except OSError as error:
        raise MailUnavailable(f"The outbox cannot be written: {error.strerror}") from None


def _deliver_by_smtp(url: str, message: EmailMessage, addresses: Sequence[str]) -> dict[str, Refusal]:
    parts = urlsplit(url)
    host, tls = parts.hostname or "", ssl.create_default_context()
    try:
        with (
            smtplib.SMTP_SSL(host, parts.port or 465, timeout=_TIMEOUT_S, context=tls)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, parts.port or 25, timeout=_TIMEOUT_S)
        ) as server:
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=tls)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            return _deliver(server, message, addresses)
    except smtplib.SMTPResponseException as refused:  # our login, our sender, or that we connect at all
        raise MailUnavailable(f"The mail server takes no mail of ours: {refused.smtp_code}") from None
    except OSError as error:
        raise MailUnavailable(f"The mail server cannot be reached: {type(error).__name__}") from None


def _deliver(server: smtplib.SMTP, message: EmailMessage, addresses: Sequence[str]) -> dict[str, Refusal]:
    server.ehlo_or_helo_if_needed()
    known = [each for each in addresses if each.isascii() or server.has_extn("smtputf8")]
    refused: dict[str, tuple[int, bytes | str]] = {each: _BEYOND_ASCII for each in addresses if each not in known}
    try:
        refused |= server.send_message(message, to_addrs=known) if known else {}
    except smtplib.SMTPRecipientsRefused as error:  # by all, or by one while the server closed: then it has no mail
        refused |= {each: error.recipients.get(each, (PUT_OFF, b"")) for each in known}
    except smtplib.SMTPDataError as error:
        refused |= dict.fromkeys(known, (error.smtp_code, error.smtp_error))
    return {address: _refusal(code, answer) for address, (code, answer) in refused.items()}


def _refusal(code: int, answer: bytes | str) -> Refusal:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return Refusal(code, " ".join([str(code), *text.split()])[:_LONGEST_ANSWER])
