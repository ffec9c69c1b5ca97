"""Working off the inbox, the quarantine and the dead letters, one transaction per batch of leads."""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Lead, Person
from db.core import locks
from db.core.engine import commit_asynchronously, transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import customer_uuid, lead_uuid
from db.intake import dead_letters, inbox, matching, quarantine
from db.intake.decision import process
from db.intake.inbox import Chunk
from db.intake.matching import Arrival
from db.ledger.policies import Policies
from db.masters import customers
from db.telemetry import counters, tracing

log = structlog.get_logger()

Claimed = tuple[int, Lead]
"""(row of the inbox or the quarantine, a lead in it)."""

Poison = Mapping[tuple[int, UUID], str]
"""The error of each lead that cannot be decided, by row and lead id."""


class _Rollback(Exception):
    """Leaves a trial's transaction without a trace."""


async def process_inbox(engine: AsyncEngine, policies: Policies, most_leads: int) -> int:
    """Decide up to `most_leads` waiting leads in one transaction; returns how many requests (or parts) that settled.

    If the batch fails because of a lead, the lead goes to the dead letters and the rest is billed.
    """

    async def attempt(connection: asyncpg.Connection, claimed: list[Claimed], poison: Poison) -> int:
        await commit_asynchronously(connection)
        chunks = [(chunk, _leads_of(chunk)) for chunk in await inbox.claim(connection, most_leads)]
        claimed += [(chunk.id, lead) for chunk, leads in chunks if not isinstance(leads, str) for lead in leads]
        if chunks:
            await _decide_chunks(engine, connection, policies, chunks, poison)
        return len(chunks)

    with tracing.span("leads.batch"):
        return await _isolating_poison(engine, policies, attempt)


async def retry_quarantined(
    engine: AsyncEngine, policies: Policies, most: int = 500, only: Sequence[int] | None = None
) -> int:
    """Decide quarantined leads whose product and customer now exist; returns how many left the quarantine."""

    async def attempt(connection: asyncpg.Connection, claimed: list[Claimed], poison: Poison) -> int:
        rows = await locks.lock_resolvable_quarantine_rows(connection, most, only)
        if not rows:
            return 0
        leads = [(row, inbox.lead_from_payload(row["payload"])) for row in rows]
        claimed += [(row["id"], lead) for row, lead in leads]
        dead = [(row, lead) for row, lead in leads if (row["id"], lead_uuid(*lead.identity)) in poison]
        good = [(row, lead) for row, lead in leads if (row["id"], lead_uuid(*lead.identity)) not in poison]
        arrivals = [Arrival(lead, row["received_at"]) for row, lead in good]
        await process(connection, policies, arrivals, await _people(engine, connection, arrivals))
        pairs = [(row, arrival) for (row, _), arrival in zip(good, arrivals, strict=True)]
        resolved = [row["id"] for row, arrival in pairs if not arrival.problem] + [row["id"] for row, _ in dead]
        await quarantine.resolve(connection, resolved)
        await quarantine.add(connection, [(row["batch_id"], arrival) for row, arrival in pairs if arrival.problem])
        await dead_letters.add(
            connection, [_letter_from_quarantine(row, lead_uuid(*lead.identity), poison) for row, lead in dead]
        )
        return len(resolved)

    return await _isolating_poison(engine, policies, attempt)


async def retry_dead_letters(connection: asyncpg.Connection, ids: Sequence[int] | None, most: int = 1000) -> int:
    """Put dead letters back into the inbox; returns how many."""
    rows = await locks.lock_dead_letters(connection, ids, most)
    await connection.copy_records_to_table(
        "inbox",
        records=[
            (
                row["batch_id"],
                inbox.RETRIED_PART,
                0,
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


async def _decide_chunks(
    engine: AsyncEngine,
    connection: asyncpg.Connection,
    policies: Policies,
    chunks: Sequence[tuple[Chunk, list[Lead] | str]],
    poison: Poison,
) -> None:
    started = time.perf_counter()
    by_chunk: dict[int, list[Arrival]] = {}
    letters: list[tuple[Chunk, UUID | None, bytes, str]] = []
    dead: dict[int, int] = defaultdict(int)
    for chunk, leads in chunks:
        if isinstance(leads, str):
            letters.append((chunk, None, chunk.payload, leads))
            dead[chunk.id] += 1
            leads = []
        by_chunk[chunk.id] = arrivals = [Arrival(lead, chunk.received_at) for lead in leads]
        if poison:
            fatal = [arrival for arrival in arrivals if (chunk.id, arrival.id) in poison]
            letters += [(chunk, a.id, inbox.payload_from_lead(a.lead), poison[chunk.id, a.id]) for a in fatal]
            dead[chunk.id] += len(fatal)
            by_chunk[chunk.id] = [arrival for arrival in arrivals if (chunk.id, arrival.id) not in poison]
    arrivals = [arrival for of_chunk in by_chunk.values() for arrival in of_chunk]
    outcomes = await process(connection, policies, arrivals, await _people(engine, connection, arrivals))
    aside = [(chunk.batch_id, arrival) for chunk, _ in chunks for arrival in by_chunk[chunk.id] if arrival.problem]
    await quarantine.add(connection, aside)
    await dead_letters.add(connection, letters)
    results = []
    counted: dict[str, int] = defaultdict(int)
    for chunk, _ in chunks:
        result = matching.batch_result(by_chunk[chunk.id], outcomes)
        result["leads"]["dead"] = dead[chunk.id]
        results.append((chunk.id, result))
        for kind, count in result["leads"].items():
            counted[f"leads_{kind}"] += count
    await inbox.settle(connection, results)
    request_ids = sorted({chunk.request_id for chunk, _ in chunks})
    tracing.note({"leadger.request_ids": request_ids, "leadger.leads": len(arrivals)})
    log.info("leads_decided", rows=len(results), request_ids=request_ids, **counted)
    counted["batches"] = 1
    counted["batch_us"] = round((time.perf_counter() - started) * 1_000_000)
    await counters.add(connection, counted)


async def _people(engine: AsyncEngine, connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[UUID, UUID]:
    """The person behind each customer id, creating those that leads describe (in a transaction of its own)."""
    known = await customers.resolve(connection, {arrival.customer_id for arrival in arrivals})
    described: dict[str, Person] = {}
    for arrival in arrivals:
        if arrival.lead.person and customer_uuid(arrival.lead.customer) not in known:
            described.setdefault(arrival.lead.customer, arrival.lead.person)
    if described:
        async with transaction(engine) as own:
            known |= await customers.ensure(own, described)
    return known


async def _isolating_poison(
    engine: AsyncEngine,
    policies: Policies,
    attempt: Callable[[asyncpg.Connection, list[Claimed], Poison], Awaitable[int]],
) -> int:
    """Run `attempt` in a transaction; if leads it claimed make it fail, run it again and hand it these as poison.

    Poison is a lead in its row: the same lead in another row may have been mended since.
    """
    poison: dict[tuple[int, UUID], str] = {}
    while True:
        claimed: list[Claimed] = []
        try:
            async with transaction(engine) as connection:
                return await attempt(connection, claimed, poison)
        except TRANSIENT:
            policies.clear()
            raise
        except Exception as error:
            policies.clear()
            found = await _find_poison(engine, claimed)
            if not found.keys() - poison.keys():
                raise
            log.exception("poison_leads_found", lead_ids=[str(lead_id) for _, lead_id in found], error=repr(error))
            poison |= found


async def _find_poison(engine: AsyncEngine, claimed: Sequence[Claimed]) -> dict[tuple[int, UUID], str]:
    """The leads that cannot be decided even alone, by trying halves in transactions that are rolled back."""
    error = await _trial(engine, [lead for _, lead in claimed])
    if error is None:
        return {}
    if len(claimed) == 1:
        row_id, lead = claimed[0]
        return {(row_id, lead_uuid(*lead.identity)): error}
    middle = len(claimed) // 2
    return await _find_poison(engine, claimed[:middle]) | await _find_poison(engine, claimed[middle:])


async def _trial(engine: AsyncEngine, leads: Sequence[Lead]) -> str | None:
    """Decide leads and forget it; returns the error if there is one that the leads are to blame for."""
    if not leads:
        return None
    try:
        async with transaction(engine) as connection:
            arrivals = [Arrival(lead, lead.actions[0].occurred_at) for lead in leads]
            await process(connection, Policies(), arrivals, await _people(engine, connection, arrivals))
            raise _Rollback
    except _Rollback:
        return None
    except TRANSIENT:
        raise
    except Exception as error:
        return repr(error)


def _leads_of(chunk: Chunk) -> list[Lead] | str:
    """The leads of a chunk, or what is wrong with its payload."""
    try:
        return inbox.leads_from_payload(chunk.payload)
    except msgspec.MsgspecError as error:
        return f"unreadable: {error}"


def _letter_from_quarantine(
    row: asyncpg.Record, lead_id: UUID, poison: Poison
) -> tuple[Chunk, UUID | None, bytes, str]:
    """A dead letter of a lead that has left the inbox long ago."""
    return Chunk(0, row["batch_id"], "", row["received_at"], b""), lead_id, row["payload"], poison[row["id"], lead_id]
