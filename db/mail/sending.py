"""Sending mail: by SMTP_URL, or without it as an .eml file into LEADGER_HOME/outbox.

Call it from a background task, which is tried again: a mail may come twice, and then has the same id, which is that of
the task. It is no part of any transaction.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
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


async def send(settings: Settings, mail: Mail) -> None:
    """Hand a mail over. MailUnavailable if that may succeed later, RuleViolation if it never will."""
    message = _message(settings, mail)
    if settings.smtp_url:
        await asyncio.to_thread(_send_by_smtp, settings.smtp_url, message)
    else:
        await asyncio.to_thread(_write, settings.home / "outbox", mail.id, message)


def _message(settings: Settings, mail: Mail) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"], message["To"] = settings.mail_from, ", ".join(mail.to)
    message["Subject"], message["Date"] = mail.subject, formatdate(usegmt=True)
    message["Message-ID"] = f"<{mail.id}@{settings.mail_from.rpartition('@')[2]}>"
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


def _send_by_smtp(url: str, message: EmailMessage) -> None:
    """Speak to the server; what it answers may name people, so its code alone is told."""
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
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        _raise_for({code for code, _ in refused.recipients.values()})
    except smtplib.SMTPResponseException as refused:
        _raise_for({refused.smtp_code})
    except OSError as error:
        raise MailUnavailable(f"The mail server cannot be reached: {type(error).__name__}") from None


def _raise_for(codes: set[int]) -> None:
    named = ", ".join(map(str, sorted(codes)))
    if min(codes) >= _PERMANENT:
        raise RuleViolation(f"The mail server refused the mail: {named}.") from None
    raise MailUnavailable(f"The mail server put the mail off: {named}") from None
