"""Working off the inbox, the quarantine and the dead letters, one transaction per batch of leads."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.identity import customer_uuid
from billing.leads import Lead, Person
from db import dead_letters, inbox, intake, people, quarantine, tallies
from db.engine import transaction
from db.inbox import Chunk
from db.intake import Arrival
from db.policies import Policies
from db.process import process

log = structlog.get_logger()

TRANSIENT = (
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""Faults of the moment: no lead is to blame, and trying again helps."""


_RETRIED_PART = 1000
"""The part number of leads that went from the dead letters back into their batch."""


class _Rollback(Exception):
    """Leaves a trial's transaction without a trace."""


async def work_off_inbox(engine: AsyncEngine, policies: Policies, most_leads: int) -> int:
    """Decide up to `most_leads` waiting leads in one transaction; returns how many requests (or parts) that settled.

    If the batch fails because of a lead, the lead goes to the dead letters and the rest is billed.
    """
    poison: dict[UUID, str] = {}
    while True:
        chunks: list[Chunk] = []
        try:
            async with transaction(engine) as connection:
                chunks = await inbox.claim(connection, most_leads)
                await _settle_chunks(engine, connection, policies, chunks, poison)
            return len(chunks)
        except TRANSIENT:
            policies.forget()
            raise
        except Exception as error:
            policies.forget()
            found = await _find_poison(engine, policies, [lead for chunk in chunks for lead in _readable(chunk)])
            if not found.keys() - poison.keys():
                raise
            log.exception("poison_leads_found", lead_ids=[str(lead_id) for lead_id in found], error=repr(error))
            poison |= found


async def replay_quarantine(
    engine: AsyncEngine, policies: Policies, most: int = 500, only: Sequence[int] | None = None
) -> int:
    """Decide quarantined leads whose product and customer now exist; returns how many left the quarantine."""
    async with transaction(engine) as connection:
        rows = await quarantine.claim_resolvable(connection, most, only)
        if not rows:
            return 0
        arrivals = [Arrival(inbox.lead_from_payload(row["payload"]), row["received_at"]) for row in rows]
        await process(connection, policies, arrivals, await _people(engine, connection, arrivals))
        resolved = [row["id"] for row, arrival in zip(rows, arrivals, strict=True) if not arrival.problem]
        remaining = [(row["batch_id"], a) for row, a in zip(rows, arrivals, strict=True) if a.problem]
        await quarantine.resolve(connection, resolved)
        await quarantine.add(connection, remaining)
        return len(resolved)


async def retry_dead_letters(connection: asyncpg.Connection, ids: Sequence[int] | None, most: int = 1000) -> int:
    """Put dead letters back into the inbox; returns how many."""
    rows = await dead_letters.claim(connection, ids, most)
    await connection.copy_records_to_table(
        "inbox",
        records=[
            (
                row["batch_id"],
                _RETRIED_PART,
                "retry",
                row["received_at"],
                1,
                [row["lead_id"]],
                b"[" + row["payload"] + b"]",
            )
            for row in rows
            if row["lead_id"]
        ],
        columns=inbox.INBOX_COLUMNS,
    )
    await dead_letters.resolve(connection, [row["id"] for row in rows if row["lead_id"]])
    return sum(1 for row in rows if row["lead_id"])


async def _settle_chunks(
    engine: AsyncEngine,
    connection: asyncpg.Connection,
    policies: Policies,
    chunks: Sequence[Chunk],
    poison: Mapping[UUID, str],
) -> None:
    if not chunks:
        return
    started = time.perf_counter()
    by_chunk: dict[int, list[Arrival]] = {}
    letters: list[tuple[Chunk, UUID | None, bytes, str]] = []
    dead: dict[int, int] = defaultdict(int)
    for chunk in chunks:
        by_chunk[chunk.id] = []
        try:
            leads = inbox.leads_from_payload(chunk.payload)
        except msgspec.MsgspecError as error:
            letters.append((chunk, None, chunk.payload, f"unreadable: {error}"))
            dead[chunk.id] += 1
            continue
        for lead in leads:
            if lead.id in poison:
                letters.append((chunk, lead.id, inbox.payload_from_lead(lead), poison[lead.id]))
                dead[chunk.id] += 1
            else:
                by_chunk[chunk.id].append(Arrival(lead, chunk.received_at))
    arrivals = [arrival for chunk in chunks for arrival in by_chunk[chunk.id]]
    outcomes = await process(connection, policies, arrivals, await _people(engine, connection, arrivals))
    aside = [(chunk.batch_id, arrival) for chunk in chunks for arrival in by_chunk[chunk.id] if arrival.problem]
    await quarantine.add(connection, aside)
    await dead_letters.add(connection, letters)
    results = []
    counted: dict[str, int] = defaultdict(int)
    for chunk in chunks:
        result = intake.batch_result(by_chunk[chunk.id], outcomes)
        result["leads"]["dead"] = dead[chunk.id]
        results.append((chunk.id, result))
        for kind, count in result["leads"].items():
            counted[f"leads_{kind}"] += count
        log.info("chunk_decided", batch_id=str(chunk.batch_id), request_id=chunk.request_id, **result["leads"])
    await inbox.settle(connection, results)
    counted["batches"] = 1
    counted["batch_us"] = round((time.perf_counter() - started) * 1_000_000)
    await tallies.add(connection, counted)


async def _people(engine: AsyncEngine, connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[UUID, UUID]:
    """The person behind each customer id, creating those that leads describe (in a transaction of its own)."""
    known = await people.resolve(connection, {arrival.customer_id for arrival in arrivals})
    described: dict[str, Person] = {}
    for arrival in arrivals:
        if arrival.lead.person and customer_uuid(arrival.lead.customer) not in known:
            described.setdefault(arrival.lead.customer, arrival.lead.person)
    if described:
        async with transaction(engine) as own:
            known |= await people.introduce(own, described)
    return known


async def _find_poison(engine: AsyncEngine, policies: Policies, leads: Sequence[Lead]) -> dict[UUID, str]:
    """The leads that cannot be decided even alone, by trying halves in transactions that are rolled back."""
    error = await _trial(engine, policies, leads)
    if error is None:
        return {}
    if len(leads) == 1:
        return {leads[0].id: error}
    middle = len(leads) // 2
    found = await _find_poison(engine, policies, leads[:middle])
    return found | await _find_poison(engine, policies, leads[middle:])


async def _trial(engine: AsyncEngine, policies: Policies, leads: Sequence[Lead]) -> str | None:
    """Decide leads and forget it; returns the error if there is one that the leads are to blame for."""
    if not leads:
        return None
    try:
        async with transaction(engine) as connection:
            arrivals = [Arrival(lead, lead.actions[0].occurred_at) for lead in leads]
            await process(connection, policies, arrivals, await _people(engine, connection, arrivals))
            raise _Rollback
    except _Rollback:
        return None
    except TRANSIENT:
        raise
    except Exception as error:
        return repr(error)
    finally:
        policies.forget()


def _readable(chunk: Chunk) -> list[Lead]:
    try:
        return inbox.leads_from_payload(chunk.payload)
    except msgspec.MsgspecError:
        return []
