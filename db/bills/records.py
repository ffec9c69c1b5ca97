"""Bills as rows: one row is a bill or a credit note with all that it says, as its digest proves it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.digest import seal_of_texts, text_of_issue
from billing.bills.issue_wire import issue_from_json
from billing.bills.states import State
from billing.bills.tax import BillTotals
from billing.bills.values import Content, Issue
from billing.bills.wire import content_from_json
from billing.contracts.preferences import Approver
from db.bills import filters
from db.bills.drafts import Draft, draft_from_content
from db.bills.filters import BillFilter, Where
from db.bills.orders import BillOrder, Part, Place

_OPEN_MINOR = "(CASE WHEN entry.amount_minor > 0 THEN account_rests.rest_minor ELSE 0 END)"
_WAS_WRITTEN_OFF = """
    EXISTS (
        SELECT FROM account_entries AS write_off
        WHERE write_off.bill_id = bills.id AND write_off.kind = 'write_off'
            AND NOT EXISTS (SELECT FROM account_entries AS mirror WHERE mirror.reverses_id = write_off.id)
    )
"""
_HEAD = f"""
    bills.id, bills.partner_id, partners.external_id AS partner, partners.name AS partner_name, bills.period,
    bills.currency, bills.state, bills.digest, bills.net_minor, bills.tax_minor, bills.corrects_id, bills.asked,
    bills.csm_id, bills.created_at, bills.number, bills.issued_on, bills.due_on, bills.seal, bills.dispute,
    bills.shown_state, {_OPEN_MINOR} AS open_minor, {_WAS_WRITTEN_OFF} AS was_written_off
"""
_BILLS = """
    bills JOIN partners ON partners.id = bills.partner_id
    LEFT JOIN account_entries AS entry ON entry.id = bills.id
    LEFT JOIN account_rests ON account_rests.entry_id = bills.id
"""


@dataclass(frozen=True, slots=True)
class BillHead:
    """A bill without its lines. `corrects_id` is the bill that a credit note is about; a bill has none.

    What it gets when it is issued is None before: number, dates and seal. `open_minor` is what the account says is open
    of it: 0 before it is issued, and for what asks for no money. `shown_state` is the state, or `paid` or `written_off`
    for an issued bill of which nothing is open; a note is never paid.
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
    shown_state: str
    open_minor: int
    was_written_off: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill with all that it says; `issue` is None until it is issued."""

    head: BillHead
    content: Content
    issue: Issue | None


async def read(connection: asyncpg.Connection, bill_id: UUID) -> Bill | None:
    """A bill as it stands."""
    row = await connection.fetchrow(
        f"""
        SELECT {_HEAD}, bills.content, bills.issue FROM {_BILLS} WHERE bills.id = $1
        """,  # noqa: S608 - constants
        bill_id,
    )
    return _bill_from_row(row) if row else None


async def partner_of(connection: asyncpg.Connection, bill_id: UUID) -> UUID | None:
    """The partner of a bill, which never changes; None if there is no such bill."""
    partner_id: UUID | None = await connection.fetchval("SELECT partner_id FROM bills WHERE id = $1", bill_id)
    return partner_id


async def find(connection: asyncpg.Connection, number: str, bill_id: UUID | None) -> UUID | None:
    """The bill with a number, or with an id; None if there is none."""
    found: UUID | None = await connection.fetchval("SELECT id FROM bills WHERE number = $1 OR id = $2", number, bill_id)
    return found


async def live_of(connection: asyncpg.Connection, partner_id: UUID, period: int) -> UUID | None:
    """The one bill of a period that is neither void nor cancelled (B1)."""
    return (await live_of_partners(connection, [partner_id], period)).get(partner_id)


async def live_of_partners(
    connection: asyncpg.Connection, partner_ids: Iterable[UUID], period: int
) -> dict[UUID, UUID]:
    """The same of each partner that has one."""
    rows = await connection.fetch(
        """
        SELECT partner_id, id FROM bills
        WHERE partner_id = ANY($1::uuid[]) AND period = $2 AND corrects_id IS NULL
            AND state NOT IN ('void', 'cancelled')
        """,
        list(partner_ids),
        period,
    )
    return {row["partner_id"]: row["id"] for row in rows}


async def page(
    connection: asyncpg.Connection,
    only: BillFilter,
    *,
    before: Place | None,
    limit: int,
    order: BillOrder = BillOrder.NEWEST,
) -> list[BillHead]:
    """Bills and credit notes in an order; `before` is the place of the last one of the page before."""
    found: list[BillHead] = []
    for part in order.parts:
        if (before is None or isinstance(before[0], part.kind)) and len(found) < limit:
            found += await _read_part(connection, only, order, part, before, limit - len(found))
            before = None
    return found


async def _read_part(
    connection: asyncpg.Connection, only: BillFilter, order: BillOrder, part: Part, before: Place | None, limit: int
) -> list[BillHead]:
    where = Where(common=[part.condition])
    await filters.add(connection, where, only)
    if part.by_state and only.is_wide:
        where.either = [f"shown_state = '{state}'" for state in filters.SHOWN_STATES]
    place = "true" if before is None else where.numbered(f"(value, id) {order.following} ({{}}, {{}})", *before)
    # Postgres would take an index of the order for few bills, guessing that some come soon, where all come late: those
    # of the last month by their due date.
    fence = "OFFSET 0" if only.is_narrow and part.value != "created_at" else ""
    every = [f"SELECT {part.value} AS value, bills.id FROM {each} {fence}" for each in where.sources(part.tables)]  # noqa: S608 - conditions of ours
    sort = f"ORDER BY value {order.direction}, id {order.direction} LIMIT {limit:d}"
    found = " UNION ALL ".join(f"(SELECT value, id FROM ({each}) AS every WHERE {place} {sort})" for each in every)  # noqa: S608 - the same
    if not found:
        return []
    rows = await connection.fetch(
        f"""
        SELECT {_HEAD} FROM (SELECT value, id FROM ({found}) AS found {sort}) AS listed CROSS JOIN {_BILLS}
        WHERE bills.id = listed.id ORDER BY listed.value {order.direction}, listed.id {order.direction}
        """,  # noqa: S608 - constants
        *where.values,
    )
    return [_head_from_row(row) for row in rows]


def place_of(order: BillOrder, head: BillHead) -> Place:
    """Where a bill stands in a list in this order."""
    match order.column:
        case "due":
            return head.due_on or date.max, head.id
        case "gross":
            return head.totals.gross_minor, head.id
        case "open" if head.open_minor:
            return head.open_minor, head.id
        case _:
            return head.created_at, head.id


async def read_heads(connection: asyncpg.Connection, bill_ids: Sequence[UUID]) -> list[BillHead]:
    """Some bills without their lines, by partner and period."""
    rows = await connection.fetch(
        f"""
        SELECT {_HEAD} FROM {_BILLS} WHERE bills.id = ANY($1::uuid[])
        ORDER BY partners.external_id, bills.period, bills.created_at
        """,  # noqa: S608 - constants
        bill_ids,
    )
    return [_head_from_row(row) for row in rows]


MOST_COUNTED = 10_000
"""So many bills of a kind are counted at most: a list with more says so."""
MOST_WAITING = 1_000
"""The same of those that wait for somebody, each of which has to be looked at."""


def most_counted(only: BillFilter) -> int:
    """How far the bills of a list are counted."""
    return MOST_WAITING if only.waiting_for else MOST_COUNTED


async def counts(connection: asyncpg.Connection, wanted: Iterable[BillFilter]) -> list[int]:
    """How many bills each list has, up to one more than `most_counted`."""
    where, sums = Where(), []
    for only in wanted:
        where.begin()
        await filters.add(connection, where, only)
        most = most_counted(only) + 1
        found = " UNION ALL ".join(f"(SELECT FROM {each} LIMIT {most})" for each in where.sources())
        counted = f"(SELECT count(*) FROM (SELECT FROM ({found}) AS found LIMIT {most}) AS counted)"  # noqa: S608 - conditions of ours
        sums.append(counted if found else "0")
    row = await connection.fetchrow(f"SELECT {', '.join(sums)}", *where.values)
    assert row is not None
    return list(row.values())


async def insert_all(
    connection: asyncpg.Connection, drafts: Iterable[tuple[UUID, Draft]], corrects_id: UUID | None = None
) -> None:
    """Add drafts, of each its partner and what it says."""
    new = list(drafts)
    await connection.execute(
        """
        INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, corrects_id)
        SELECT id, partner_id, period, currency, 'draft', digest, content, net_minor, tax_minor, $9
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[]
        ) AS new (id, partner_id, period, currency, digest, content, net_minor, tax_minor)
        """,
        [draft.bill_id for _, draft in new],
        [partner_id for partner_id, _ in new],
        [draft.content.period for _, draft in new],
        [draft.content.currency for _, draft in new],
        [draft.digest for _, draft in new],
        [draft.text for _, draft in new],
        [draft.totals.net_minor for _, draft in new],
        [draft.totals.tax_minor for _, draft in new],
        corrects_id,
    )


async def write_content(connection: asyncpg.Connection, bill_id: UUID, content: Content) -> None:
    """Give a draft other contents."""
    draft = draft_from_content(content, bill_id)
    await connection.execute(
        "UPDATE bills SET digest = $2, content = $3, net_minor = $4, tax_minor = $5 WHERE id = $1",
        bill_id,
        draft.digest,
        draft.text,
        draft.totals.net_minor,
        draft.totals.tax_minor,
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
    await write_issues(connection, [(draft_from_content(bill.content, bill.head.id), issue)])


async def write_issues(connection: asyncpg.Connection, issues: Iterable[tuple[Draft, Issue]]) -> None:
    """Issue bills: of each what it says and what it gets."""
    new = [(draft, issue, text_of_issue(draft.content, issue)) for draft, issue in issues]
    await connection.execute(
        """
        UPDATE bills SET state = 'issued', number = new.number, issued_at = clock_timestamp(),
            issued_on = new.issued_on, due_on = new.due_on, issue = new.issue, seal = new.seal
        FROM unnest(
            $1::uuid[], $2::text[], $3::date[], $4::date[], $5::text[], $6::text[]
        ) AS new (id, number, issued_on, due_on, issue, seal)
        WHERE bills.id = new.id
        """,
        [draft.bill_id for draft, *_ in new],
        [issue.number for _, issue, _ in new],
        [issue.issued_on for _, issue, _ in new],
        [issue.due_on for _, issue, _ in new],
        [text for *_, text in new],
        [seal_of_texts(draft.text, text) for draft, _, text in new],
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
        shown_state=row["shown_state"],
        open_minor=row["open_minor"],
        was_written_off=row["was_written_off"],
    )
