"""The background task that hands a mail about bills over."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db.bills.files import stored
from db.bills.files.formats import MEDIA_TYPES, BillFormat
from db.bills.mail import outcome
from db.core.engine import transaction
from db.core.errors import FileUnavailable, MailUnavailable
from db.mail import outgoing, sending
from db.mail.outgoing import MailState, OutgoingMail
from db.mail.sending import PUT_OFF, Attachment, Mail, Refusal
from db.reports.report_files import read_file
from worker.runner import Attempt
from worker.runtime import Runtime


async def send_mail(attempt: Attempt) -> dict[str, Any]:
    """Hand a mail over to the addresses that it waits for; the result counts all its addresses by what became of it.

    Killed before what became of it is stored, the same mail goes out again under the same id. MailUnavailable where it
    was put off, so that it is tried again; after the time that the settings allow it is given up.
    """
    mail_id, runtime = UUID(attempt.task.arguments["mail_id"]), attempt.runtime
    mail = await _read(runtime, mail_id)
    refused = await _hand_over(runtime, mail) if mail.waiting else {}
    async with runtime.unit_of_work(attempt.task.request_id) as uow:
        patience = timedelta(hours=runtime.settings.mail_patience_h)
        await outcome.settle(uow, mail, refused, datetime.now(UTC), patience)
    states = [each.state for each in (await _read(runtime, mail_id)).recipients]
    if waiting := states.count(MailState.WAITING):
        raise MailUnavailable(f"The mail is put off at {waiting} of {len(states)} addresses")
    return {state.value: states.count(state) for state in (MailState.SENT, MailState.BOUNCED, MailState.GIVEN_UP)}


async def _read(runtime: Runtime, mail_id: UUID) -> OutgoingMail:
    async with transaction(runtime.engine, readonly=True) as connection:
        mail = await outgoing.read(connection, mail_id)
    assert mail is not None
    return mail


async def _hand_over(runtime: Runtime, mail: OutgoingMail) -> dict[str, Refusal]:
    """Where it was refused, and why; a server or a file that is away puts it off everywhere."""
    try:
        to = [each.address for each in mail.recipients]
        attachments = await _attachments(runtime, mail.bill_id) if mail.bill_id else []
        whole = Mail(mail.id, to, mail.subject, mail.text, attachments)
        return dict(await sending.deliver(runtime.settings, whole, mail.waiting))
    except (MailUnavailable, FileUnavailable, FileNotFoundError) as error:
        return dict.fromkeys(mail.waiting, Refusal(PUT_OFF, str(error)))


async def _attachments(runtime: Runtime, bill_id: UUID) -> list[Attachment]:
    async with transaction(runtime.engine, readonly=True) as connection:
        files = await stored.read(connection, bill_id)
    pdf = next(file for file in files if file.format is BillFormat.PDF)
    content = b"".join(await asyncio.to_thread(read_file, pdf.url))
    return [Attachment(pdf.url.rpartition("/")[2], MEDIA_TYPES[BillFormat.PDF], content)]
