"""Reconciliation: a partner's own list of a month against what is billed for it here.

The list is stored as row keys, days and amounts, without an e-mail, and deleted when it has been compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import InvalidValue, TooManyWaiting
from billing.reconciliation import By, ListedRow, Part, PartnersList
from billing.zones import zone
from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import lead_uuid, uuid_from_text
from db.core.unit_of_work import UnitOfWork
from db.masters.carried_ids import first_carried
from db.masters.emails import email_from_wire
from db.tasks import records as tasks
from db.tasks.records import Task

KIND = "reconcile"
"""The kind of its background task."""

MOST_WAITING = 5
"""So many lists of a partner wait to be compared at a time; nobody's closing waits for hundreds of them."""
MOST_KEPT = 50
"""Results of a partner: each holds as many rows as its list, and a list has up to 100,000."""
_NO_DAY = date(1, 1, 1)
_OURS = {
    By.ACTION: "id AS key, $5::date AS day",
    By.LEAD: "lead_id AS key, $5::date AS day",
    By.PERSON: "customer_id AS key, ($4::date[])[width_bucket(occurred_at, $6::timestamptz[])] AS day",
}
_PART = """
    CASE WHEN ours_minor IS NULL THEN 'missing_here' WHEN theirs_minor IS NULL THEN 'missing_there'
        WHEN ours_minor = theirs_minor THEN 'matched' ELSE 'different' END
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that is not in both lists alike: where it stands in theirs, what it is, and the amounts, if any."""

    position: int
    line: int | None
    lead_id: str | None
    action_id: UUID | None
    customer: str | None
    day: date | None
    theirs_minor: int | None
    ours_minor: int | None


async def start(
    uow: UnitOfWork, partner_id: UUID, period: int, given: PartnersList, *, task_id: UUID | None = None
) -> UUID:
    """Store a list and start the task that compares it; with the id of a task that is there, nothing happens.

    TooManyWaiting if too many lists of the partner wait.
    """
    task_id = task_id or uuid4()
    await locks.lock_waiting(uow.connection, partner_id)
    if not await tasks.start_once(uow, task_id, KIND, {"partner_id": partner_id, "period": period, "by": given.by}):
        return task_id
    if await _waiting(uow.connection, partner_id) > MOST_WAITING:
        raise TooManyWaiting(f"{MOST_WAITING} lists of this partner wait to be compared; send another one after them.")
    people = await _people(uow.connection, partner_id, given.rows) if given.by is By.PERSON else {}
    await uow.connection.copy_records_to_table(
        "reconciliation_entries",
        records=[(task_id, "uploaded", *_stored(row, people)) for row in given.rows],
        columns=["task_id", "part", "line", "key", "lead_id", "day", "theirs_minor"],
    )
    return task_id


async def compare(engine: AsyncEngine, task: Task) -> dict[str, Any]:
    """Compare the stored list in one transaction, which deletes it; how much is in each part, in minor units.

    An attempt that was killed after that has left its result among the arguments.
    """
    arguments = task.arguments
    if "compared" in arguments:
        return dict(arguments["compared"])
    async with transaction(engine) as connection:
        counted = await _compare(
            connection, task.id, UUID(arguments["partner_id"]), arguments["period"], By(arguments["by"])
        )
        await connection.execute("DELETE FROM reconciliation_entries WHERE task_id = $1 AND part = 'uploaded'", task.id)
        await tasks.add_arguments(connection, task.id, {"compared": counted})
        await _delete_oldest(connection, arguments["partner_id"])
    return counted


async def _waiting(connection: asyncpg.Connection, partner_id: UUID) -> int:
    """How many lists of a partner are to be compared."""
    waiting: int = await connection.fetchval(
        "SELECT count(*) FROM tasks WHERE finished_at IS NULL AND kind = $1 AND arguments ->> 'partner_id' = $2",
        KIND,
        str(partner_id),
    )
    return waiting


async def _delete_oldest(connection: asyncpg.Connection, partner_id: str) -> None:
    """Delete the results of a partner but for the newest."""
    await connection.execute(
        """
        DELETE FROM tasks WHERE id IN (
            SELECT id FROM tasks WHERE kind = $1 AND finished_at IS NOT NULL AND arguments ->> 'partner_id' = $2
            ORDER BY created_at DESC, id OFFSET $3
        )
        """,
        KIND,
        partner_id,
        MOST_KEPT - 1,
    )


async def page(connection: asyncpg.Connection, task_id: UUID, part: Part, *, after: int = 0, limit: int) -> list[Entry]:
    """Entries of a part in the order of the list; those that only we have by lead or customer and time."""
    rows = await connection.fetch(
        f"""
        SELECT position, line, coalesce(entries.lead_id, leads.external_id, lead_of_action.external_id) AS lead_id,
            actions.id AS action_id, {first_carried("task.partner_id")} AS customer, nullif(day, $5::date) AS day,
            theirs_minor, ours_minor
        FROM reconciliation_entries AS entries
        JOIN (SELECT id, (arguments ->> 'partner_id')::uuid AS partner_id FROM tasks) AS task ON task.id = task_id
        -- What the list names and is another partner's is not told apart from what nobody knows.
        LEFT JOIN leads ON leads.id = key AND leads.partner_id = task.partner_id
        LEFT JOIN actions ON actions.id = key AND actions.partner_id = task.partner_id
        LEFT JOIN leads AS lead_of_action ON lead_of_action.id = actions.lead_id
        LEFT JOIN customers ON customers.id = key AND EXISTS (
            SELECT FROM leads AS theirs WHERE theirs.customer_id = key AND theirs.partner_id = task.partner_id
        )
        WHERE task_id = $1 AND part = $2 AND position > $3 ORDER BY position LIMIT $4
        """,  # noqa: S608 - an id of ours
        task_id,
        part,
        after,
        limit,
        _NO_DAY,
    )
    return [Entry(**dict(row)) for row in rows]


async def _compare(
    connection: asyncpg.Connection, task_id: UUID, partner_id: UUID, period: int, by: By
) -> dict[str, Any]:
    days = await _days(connection, partner_id, period) if by is By.PERSON else []
    rows = await connection.fetch(
        f"""
        WITH theirs AS (
            SELECT key, day, min(line) AS line, min(lead_id) AS lead_id, sum(theirs_minor)::bigint AS theirs_minor
            FROM reconciliation_entries WHERE task_id = $1 AND part = 'uploaded' GROUP BY key, day
        ), ours AS (
            SELECT key, day, sum(billed_minor)::bigint AS ours_minor FROM (
                SELECT {_OURS[by]}, billed_minor FROM actions WHERE partner_id = $2 AND billing_period = $3
            ) AS billed WHERE $4::date[] IS NOT NULL AND $5::date IS NOT NULL AND $6::timestamptz[] IS NOT NULL
            GROUP BY key, day
        ), compared AS MATERIALIZED (
            SELECT {_PART} AS part, line, key, lead_id, day, theirs_minor, ours_minor
            FROM theirs FULL JOIN ours USING (key, day)
        ), stored AS (
            INSERT INTO reconciliation_entries (task_id, part, line, key, lead_id, day, theirs_minor, ours_minor)
            SELECT $1, * FROM compared WHERE part <> 'matched' ORDER BY line, day, key
        )
        SELECT part, count(*) AS count, coalesce(sum(theirs_minor), 0)::bigint AS theirs,
            coalesce(sum(ours_minor), 0)::bigint AS ours
        FROM compared GROUP BY part
        """,  # noqa: S608 - texts of this module
        task_id,
        partner_id,
        period,
        [day for day, _ in days],
        _NO_DAY,
        [start for _, start in days],
    )
    counted: dict[str, Any] = {part.value: {"count": 0, "theirs": 0, "ours": 0} for part in Part}
    return counted | {row["part"]: {name: row[name] for name in ("count", "theirs", "ours")} for row in rows}


async def _days(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[tuple[date, datetime]]:
    """The days in the partner's time zone on which something of the period happened, each with its first instant."""
    row = await connection.fetchrow(
        """
        SELECT min(occurred_at) AS first, max(occurred_at) AS last, (
            SELECT timezone FROM partner_time_zones WHERE partner_id = $1 AND from_period <= $2
            ORDER BY from_period DESC LIMIT 1
        ) AS timezone
        FROM actions WHERE partner_id = $1 AND billing_period = $2
        """,
        partner_id,
        period,
    )
    assert row is not None
    return list(_days_between(row["first"], row["last"], row["timezone"])) if row["first"] else []


def _days_between(first: datetime, last: datetime, timezone: str) -> Iterator[tuple[date, datetime]]:
    local = zone(timezone)
    day, end = first.astimezone(local).date(), last.astimezone(local).date()
    while day <= end:
        yield day, datetime(day.year, day.month, day.day, tzinfo=local).astimezone(UTC)
        day += timedelta(days=1)


async def _people(connection: asyncpg.Connection, partner_id: UUID, rows: Sequence[ListedRow]) -> dict[str, UUID]:
    """The partner's customers behind the e-mails as they are written; those of others are as people nobody knows."""
    written = {row.email: address for row in rows if row.email and (address := _address(row.email))}
    found = await connection.fetch(
        """
        SELECT id, email FROM customers JOIN customer_states ON customer_id = id AND partner_id = $2
        WHERE email = ANY($1::text[])
        """,
        list(set(written.values())),
        partner_id,
    )
    known = {row["email"]: row["id"] for row in found}
    return {email: known[address] for email, address in written.items() if address in known}


def _address(email: str) -> str | None:
    try:
        return email_from_wire(email)
    except InvalidValue:
        return None


def _stored(row: ListedRow, people: dict[str, UUID]) -> tuple[int, UUID, str | None, date, int]:
    """A row as it is stored. What nobody can be found by gets a key that nothing has."""
    key: UUID | None = None
    if row.action_id is not None:
        key = uuid_from_text(row.action_id)
    elif row.lead_id is not None:
        key = lead_uuid(row.source, row.lead_id)
    elif row.email is not None:
        key = people.get(row.email)
    return row.line, key or uuid4(), row.lead_id, row.day or _NO_DAY, row.amount_minor
