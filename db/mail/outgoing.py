"""Mails as rows: each is written with the change that it tells of, and sent by a background task afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg


class MailKind(StrEnum):
    """What a mail is about: a bill or a credit note, a reminder of a bill, or bills that wait for a person."""

    BILL = "bill"
    REMINDER = "reminder"
    NOTICE = "notice"


class MailState(StrEnum):
    """Where a mail stands at an address.

    `BOUNCED` is what the server refused for good, `GIVEN_UP` what it put off for too long: that can be tried again.
    """

    WAITING = "waiting"
    SENT = "sent"
    BOUNCED = "bounced"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One address of a mail; `answer` is the last refusal of the server, or of what keeps it from being reached."""

    address: str
    state: MailState
    answer: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail; `id` is its Message-ID on every try.

    `bill_id`, its number and its partner are None for a notice to people of ours.
    """

    id: UUID
    kind: MailKind
    bill_id: UUID | None
    number: str | None
    partner_id: UUID | None
    subject: str
    text: str
    created_at: datetime
    tried_since: datetime
    recipients: tuple[Recipient, ...]

    @property
    def waiting(self) -> list[str]:
        """The addresses that are to be tried."""
        return [each.address for each in self.recipients if each.state is MailState.WAITING]


_MAILS = "SELECT mails.*, bills.number, bills.partner_id FROM mails LEFT JOIN bills ON bills.id = bill_id"


async def add(
    connection: asyncpg.Connection,
    mail_id: UUID,
    kind: MailKind,
    bill_id: UUID | None,
    to: Sequence[str],
    subject: str,
    text: str,
) -> None:
    """Add a mail that waits for all its addresses."""
    await connection.execute(
        """
        WITH mail AS (INSERT INTO mails (id, kind, bill_id, subject, text) VALUES ($1, $2, $3, $4, $5))
        INSERT INTO mail_recipients (mail_id, address) SELECT $1, unnest($6::text[])
        """,
        mail_id,
        kind,
        bill_id,
        subject,
        text,
        list(to),
    )


async def read(connection: asyncpg.Connection, mail_id: UUID) -> OutgoingMail | None:
    """One mail."""
    rows = await connection.fetch(f"{_MAILS} WHERE mails.id = $1", mail_id)
    found = await _mails_from_rows(connection, rows)
    return found[0] if found else None


async def of_bill(connection: asyncpg.Connection, bill_id: UUID) -> list[OutgoingMail]:
    """The mails about a bill that are kept, the newest first."""
    rows = await connection.fetch(f"{_MAILS} WHERE bill_id = $1 ORDER BY mails.created_at DESC", bill_id)
    return await _mails_from_rows(connection, rows)


async def page(
    connection: asyncpg.Connection,
    *,
    state: MailState | None,
    kind: MailKind | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[OutgoingMail]:
    """Mails, the newest first; with a state, which is not `SENT`, those that stand so at one of their addresses."""
    rows = await connection.fetch(
        f"""
        {_MAILS}
        WHERE ($1::text IS NULL OR mails.id IN (
                SELECT mail_id FROM mail_recipients WHERE state = $1 AND state <> 'sent'
            ))
            AND ($2::text IS NULL OR kind = $2)
            AND ($3::timestamptz IS NULL OR (mails.created_at, mails.id) < ($3, $4::uuid))
        ORDER BY mails.created_at DESC, mails.id DESC LIMIT $5
        """,  # noqa: S608 - _MAILS is a constant
        state,
        kind,
        *(before or (None, None)),
        limit,
    )
    return await _mails_from_rows(connection, rows)


async def write_outcome(
    connection: asyncpg.Connection, mail_id: UUID, outcome: Mapping[str, tuple[MailState, str | None]]
) -> None:
    """Store where a mail stands now at addresses, and what the server answered there."""
    await connection.executemany(
        """
        UPDATE mail_recipients SET state = $3, answer = $4, changed_at = clock_timestamp()
        WHERE mail_id = $1 AND address = $2
        """,
        [(mail_id, address, state, answer) for address, (state, answer) in outcome.items()],
    )


async def take_up(connection: asyncpg.Connection, mail_ids: Sequence[UUID] | None, most: int) -> list[UUID]:
    """Let mails that were given up wait again, all or the given ones; returns which."""
    rows = await connection.fetch(
        """
        UPDATE mail_recipients SET state = 'waiting', changed_at = clock_timestamp()
        WHERE state = 'given_up' AND mail_id IN (
            SELECT DISTINCT mail_id FROM mail_recipients
            WHERE state = 'given_up' AND ($1::uuid[] IS NULL OR mail_id = ANY($1)) ORDER BY mail_id LIMIT $2
        )
        RETURNING mail_id
        """,
        mail_ids,
        most,
    )
    taken = sorted({row["mail_id"] for row in rows})
    await connection.execute("UPDATE mails SET tried_since = clock_timestamp() WHERE id = ANY($1::uuid[])", taken)
    return taken


async def delete_old(connection: asyncpg.Connection, older_than_days: int, most: int) -> int:
    """Delete mails that are older and stand nowhere as waiting or given up; returns how many."""
    status: str = await connection.execute(
        """
        DELETE FROM mails WHERE id IN (
            SELECT id FROM mails
            WHERE created_at < clock_timestamp() - make_interval(days => $1) AND NOT EXISTS (
                SELECT FROM mail_recipients WHERE mail_id = mails.id AND state IN ('waiting', 'given_up')
            )
            ORDER BY created_at LIMIT $2
        )
        """,
        older_than_days,
        most,
    )
    return int(status.removeprefix("DELETE "))


async def _mails_from_rows(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> list[OutgoingMail]:
    recipients: dict[UUID, list[Recipient]] = {row["id"]: [] for row in rows}
    for row in await connection.fetch(
        "SELECT * FROM mail_recipients WHERE mail_id = ANY($1::uuid[]) ORDER BY mail_id, address", list(recipients)
    ):
        recipient = Recipient(row["address"], MailState(row["state"]), row["answer"], row["changed_at"])
        recipients[row["mail_id"]].append(recipient)
    return [_mail_from_row(row, recipients[row["id"]]) for row in rows]


def _mail_from_row(row: asyncpg.Record, recipients: Sequence[Recipient]) -> OutgoingMail:
    return OutgoingMail(
        id=row["id"],
        kind=MailKind(row["kind"]),
        bill_id=row["bill_id"],
        number=row["number"],
        partner_id=row["partner_id"],
        subject=row["subject"],
        text=row["text"],
        created_at=row["created_at"],
        tried_since=row["tried_since"],
        recipients=tuple(recipients),
    )
