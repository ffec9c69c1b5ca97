"""Bills as rows: one row is a bill or a credit note with all that it says, as its digest proves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.canonical_json import canonical_json
from billing.bills.digest import digest_of, seal_of
from billing.bills.issue_wire import issue_from_json, json_from_issue
from billing.bills.states import State
from billing.bills.tax import BillTotals, totals_of
from billing.bills.values import Content, Issue
from billing.bills.wire import content_from_json, json_from_content
from billing.contracts.preferences import Approver

_HEAD = """
    bills.id, bills.partner_id, partners.external_id AS partner, partners.name AS partner_name, bills.period,
    bills.currency, bills.state, bills.digest, bills.net_minor, bills.tax_minor, bills.corrects_id, bills.asked,
    bills.csm_id, bills.created_at, bills.number, bills.issued_on, bills.due_on, bills.seal, bills.dispute
"""


@dataclass(frozen=True, slots=True)
class BillHead:
    """A bill without its lines. `corrects_id` is the bill that a credit note is about; a bill has none.

    What it gets when it is issued is None before: number, dates and seal.
    """

    id: UUID
    partner_id: UUID
    partner: str
    partner_name: str
    period: int
    currency: str
    state: State
    digest: str
    totals: BillTotals
    corrects_id: UUID | None
    asked: tuple[Approver, ...]
    csm_id: UUID | None
    created_at: datetime
    number: str | None
    issued_on: date | None
    due_on: date | None
    seal: str | None
    dispute: str | None


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill with all that it says; `issue` is None until it is issued."""

    head: BillHead
    content: Content
    issue: Issue | None


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills to list; None is any. `overdue_on` are those that were due before a day.

    `unfinished_only` are those that are neither issued nor given up.
    """

    partner_id: UUID | None = None
    period: int | None = None
    state: State | None = None
    overdue_on: date | None = None
    issued_only: bool = False
    unfinished_only: bool = False


async def read(connection: asyncpg.Connection, bill_id: UUID) -> Bill | None:
    """A bill as it stands."""
    row = await connection.fetchrow(
        f"""
        SELECT {_HEAD}, bills.content, bills.issue FROM bills JOIN partners ON partners.id = partner_id
        WHERE bills.id = $1
        """,  # noqa: S608 - _HEAD is a constant
        bill_id,
    )
    return _bill_from_row(row) if row else None


async def partner_of(connection: asyncpg.Connection, bill_id: UUID) -> UUID | None:
    """The partner of a bill, which never changes; None if there is no such bill."""
    partner_id: UUID | None = await connection.fetchval("SELECT partner_id FROM bills WHERE id = $1", bill_id)
    return partner_id


async def live_of(connection: asyncpg.Connection, partner_id: UUID, period: int) -> UUID | None:
    """The one bill of a period that is neither void nor cancelled (B1)."""
    bill_id: UUID | None = await connection.fetchval(
        """
        SELECT id FROM bills
        WHERE partner_id = $1 AND period = $2 AND corrects_id IS NULL AND state NOT IN ('void', 'cancelled')
        """,
        partner_id,
        period,
    )
    return bill_id


async def page(
    connection: asyncpg.Connection, only: BillFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[BillHead]:
    """Bills and credit notes, the newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_HEAD} FROM bills JOIN partners ON partners.id = partner_id
        WHERE ($1::uuid IS NULL OR partner_id = $1) AND ($2::int IS NULL OR period = $2)
            AND ($3::text IS NULL OR state = $3) AND ($4::date IS NULL OR due_on < $4 AND state = 'issued')
            AND (NOT $5 OR issued_at IS NOT NULL)
            AND (NOT $6 OR state IN ('draft', 'pending', 'approved', 'rejected'))
            AND ($7::timestamptz IS NULL OR (bills.created_at, bills.id) < ($7, $8::uuid))
        ORDER BY bills.created_at DESC, bills.id DESC LIMIT $9
        """,  # noqa: S608 - _HEAD is a constant
        only.partner_id,
        only.period,
        only.state,
        only.overdue_on,
        only.issued_only,
        only.unfinished_only,
        *(before or (None, None)),
        limit,
    )
    return [_head_from_row(row) for row in rows]


async def insert(
    connection: asyncpg.Connection, bill_id: UUID, partner_id: UUID, content: Content, corrects_id: UUID | None = None
) -> None:
    """Add a draft."""
    totals = totals_of(content)
    await connection.execute(
        """
        INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, corrects_id)
        VALUES ($1, $2, $3, $4, 'draft', $5, $6, $7, $8, $9)
        """,
        bill_id,
        partner_id,
        content.period,
        content.currency,
        digest_of(content),
        canonical_json(json_from_content(content)).decode(),
        totals.net_minor,
        totals.tax_minor,
        corrects_id,
    )


async def write_content(connection: asyncpg.Connection, bill_id: UUID, content: Content) -> None:
    """Give a draft other contents."""
    totals = totals_of(content)
    await connection.execute(
        "UPDATE bills SET digest = $2, content = $3, net_minor = $4, tax_minor = $5 WHERE id = $1",
        bill_id,
        digest_of(content),
        canonical_json(json_from_content(content)).decode(),
        totals.net_minor,
        totals.tax_minor,
    )


async def write_state(connection: asyncpg.Connection, bill_id: UUID, state: State) -> None:
    """Give a bill another state."""
    await connection.execute("UPDATE bills SET state = $2 WHERE id = $1", bill_id, state)


async def write_review(
    connection: asyncpg.Connection, bill_id: UUID, asked: tuple[Approver, ...], csm_id: UUID | None
) -> None:
    """Keep which approvals are asked, and who was the partner's CSM then."""
    await connection.execute("UPDATE bills SET asked = $2, csm_id = $3 WHERE id = $1", bill_id, asked, csm_id)


async def write_issue(connection: asyncpg.Connection, bill: Bill, issue: Issue) -> None:
    """Issue a bill: from now on the database refuses to change it."""
    await connection.execute(
        """
        UPDATE bills SET state = 'issued', number = $2, issued_at = clock_timestamp(), issued_on = $3, due_on = $4,
            issue = $5, seal = $6
        WHERE id = $1
        """,
        bill.head.id,
        issue.number,
        issue.issued_on,
        issue.due_on,
        canonical_json(json_from_issue(bill.content, issue)).decode(),
        seal_of(bill.content, issue),
    )


async def write_dispute(connection: asyncpg.Connection, bill_id: UUID, reason: str | None) -> None:
    """Say why a bill is disputed, or that it is not."""
    await connection.execute("UPDATE bills SET dispute = $2 WHERE id = $1", bill_id, reason)


def _bill_from_row(row: asyncpg.Record) -> Bill:
    content: Mapping[str, Any] = msgspec.json.decode(row["content"])
    issue = row["issue"]
    return Bill(
        _head_from_row(row),
        content_from_json(content),
        None if issue is None else issue_from_json(msgspec.json.decode(issue)),
    )


def _head_from_row(row: asyncpg.Record) -> BillHead:
    return BillHead(
        id=row["id"],
        partner_id=row["partner_id"],
        partner=row["partner"],
        partner_name=row["partner_name"],
        period=row["period"],
        currency=row["currency"],
        state=State(row["state"]),
        digest=row["digest"],
        totals=BillTotals(row["net_minor"], row["tax_minor"]),
        corrects_id=row["corrects_id"],
        asked=tuple(Approver(place) for place in row["asked"]),
        csm_id=row["csm_id"],
        created_at=row["created_at"],
        number=row["number"],
        issued_on=row["issued_on"],
        due_on=row["due_on"],
        seal=row["seal"],
        dispute=row["dispute"],
    )
