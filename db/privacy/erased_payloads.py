"""Erasing a person from what callers sent: the inbox, the quarantine, the dead letters.

Waiting leads still mean the same customer, by the key.
"""

from datetime import timedelta

import asyncpg
import msgspec

from db.core import locks
from db.intake import quarantine
from db.intake.arrival import Arrival
from db.intake.payloads import lead_from_payload, payload_from_lead
from db.privacy.erased_names import Erased
from db.privacy.identifiers import Identity, readable_leads

IDS_PER_TRANSACTION = 5_000
"""How many row ids one call of `erase` looks at."""

_CLOCKS_DIFFER = timedelta(minutes=1)
"""`received_at` is the instant of an API process, that of the erasure is the database's."""

TABLES = ("inbox", "quarantine", "dead_letters")


async def last_id(connection: asyncpg.Connection, table: str) -> int:
    """The highest row id of one of the tables; 0 if it is empty."""
    newest: int = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - one of TABLES
    return newest


async def erase(connection: asyncpg.Connection, table: str, after: int, erased: Erased) -> int:
    """Erase the person from the rows of the next ids after `after` that came before they were erased.

    Rows that came after that hold the person only if they hold an id. Returns how many rows changed.
    """
    erase_one = {"inbox": _from_inbox, "quarantine": _from_quarantine, "dead_letters": _from_dead_letter}[table]
    identity = erased.identity
    later = identity.without_emails()
    rows = await locks.lock_rows_that_name(
        connection,
        table,
        range(after + 1, after + IDS_PER_TRANSACTION + 1),
        erased.asked_at + _CLOCKS_DIFFER,
        identity.in_json,
        sorted({*identity.spellings, *identity.emails, *identity.names}),
    )
    changed = [
        await erase_one(connection, row, identity if row["received_at"] <= erased.erased_at else later) for row in rows
    ]
    return sum(changed)


async def _from_inbox(connection: asyncpg.Connection, row: asyncpg.Record, identity: Identity) -> bool:
    payload = _erased(row["payload"], identity)
    in_result = await _from_result(connection, "inbox", "id", row["id"], identity)
    in_part = await _from_result(connection, "partly_decided", "inbox_id", row["id"], identity)
    if payload != row["payload"]:
        await connection.execute("UPDATE inbox SET payload = $2 WHERE id = $1", row["id"], payload)
    return payload != row["payload"] or in_result or in_part


async def _from_result(connection: asyncpg.Connection, table: str, key: str, row_id: int, identity: Identity) -> bool:
    """Erase the person from the problems in the result of a row, whose details quote ids."""
    result = await connection.fetchval(f"SELECT result FROM {table} WHERE {key} = $1", row_id)  # noqa: S608 - names above
    before = [problem["detail"] for problem in result["problems"]] if result else []
    after = [identity.erase_from_detail(detail) for detail in before]
    if after == before:
        return False
    for problem, detail in zip(result["problems"], after, strict=True):
        problem["detail"] = detail
    encoded = msgspec.json.encode(result).decode()
    await connection.execute(f"UPDATE {table} SET result = $2 WHERE {key} = $1", row_id, encoded)  # noqa: S608 - as above
    return True


async def _from_quarantine(connection: asyncpg.Connection, row: asyncpg.Record, identity: Identity) -> bool:
    lead = lead_from_payload(row["payload"])
    detail = identity.erase_from_detail(row["detail"])
    if not identity.erase_from(lead) and detail == row["detail"]:
        return False
    await quarantine.rewrite(connection, row["id"], Arrival(lead, row["received_at"]), detail)
    return True


async def _from_dead_letter(connection: asyncpg.Connection, row: asyncpg.Record, identity: Identity) -> bool:
    payload = _erased(b"[" + row["payload"] + b"]", identity)[1:-1]
    error = identity.erase_from_error(row["error"])
    if (payload, error) == (row["payload"], row["error"]):
        return False
    await connection.execute(
        "UPDATE dead_letters SET payload = $2, error = $3 WHERE id = $1", row["id"], payload, error
    )
    return True


def _erased(payload: bytes, identity: Identity) -> bytes:
    """A payload without the identity; the same bytes if it does not hold it."""
    leads = readable_leads(payload)
    if not leads:
        return identity.erase_from_damaged(payload)
    changed = [identity.erase_from(lead) for lead in leads]
    if not any(changed):
        return payload
    return b"[" + b",".join(map(payload_from_lead, leads)) + b"]"
