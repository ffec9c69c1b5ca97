"""What a worker does at a time: it decides one batch of leads from the inbox or the quarantine.

These functions take an engine, because each opens transactions of its own: one for the batch, one for the people whom
its leads describe, and if the batch fails, a second one that decides it by halves and leaves out who is to blame.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Action, Outcome
from billing.leads import Lead
from db.core import locks
from db.core.engine import commit_asynchronously
from db.intake import dead_letters, inbox, quarantine
from db.intake.arrival import Arrival
from db.intake.dead_letters import Failure
from db.intake.inbox import Chunk
from db.intake.payloads import lead_from_payload, leads_from_payload, payload_from_lead
from db.intake.poison_search import Decide, run_isolating_poison
from db.intake.request_result import result_from_arrivals
from db.ledger.policies import Policies
from db.telemetry import counters, tracing

log = structlog.get_logger()


async def process_inbox(engine: AsyncEngine, policies: Policies, most_leads: int) -> int:
    """Decide up to `most_leads` waiting leads in a transaction of its own; returns how many rows of the inbox it did.

    If the batch fails because of a lead, the lead goes to the dead letters and the rest is billed.
    """

    async def attempt(connection: asyncpg.Connection, decide: Decide) -> int:
        await commit_asynchronously(connection)
        chunks = [(chunk, _leads_of(chunk)) for chunk in await inbox.claim(connection, most_leads)]
        if chunks:
            await _decide_chunks(connection, decide, chunks)
        return len(chunks)

    with tracing.span("leads.batch"):
        return await run_isolating_poison(engine, policies, attempt)


async def retry_quarantined(
    engine: AsyncEngine, policies: Policies, most: int = 500, only: Sequence[int] | None = None
) -> int:
    """Decide quarantined leads whose product and customer now exist, in a transaction of its own.

    Returns how many left the quarantine. `only` names rows to retry whatever their reason.
    """

    async def attempt(connection: asyncpg.Connection, decide: Decide) -> int:
        rows = await locks.lock_resolvable_quarantine_rows(connection, most, only)
        return await _decide_quarantined(connection, decide, rows) if rows else 0

    return await run_isolating_poison(engine, policies, attempt)


async def _decide_chunks(
    connection: asyncpg.Connection, decide: Decide, chunks: Sequence[tuple[Chunk, list[Lead] | str]]
) -> None:
    """Decide the leads of claimed rows; what cannot be decided goes to the quarantine or the dead letters."""
    started = time.perf_counter()
    origins = [chunk for chunk, leads in chunks if not isinstance(leads, str) for _ in leads]
    arrivals = [
        Arrival(lead, chunk.received_at) for chunk, leads in chunks if not isinstance(leads, str) for lead in leads
    ]
    decided = await decide(connection, arrivals)
    by_chunk: dict[int, list[Arrival]] = {chunk.id: [] for chunk, _ in chunks}
    failures = [_damaged(chunk, leads) for chunk, leads in chunks if isinstance(leads, str)]
    quarantined = []
    for place, (chunk, arrival) in enumerate(zip(origins, decided.arrivals, strict=True)):
        if place in decided.poison:
            failures.append(_failure(chunk, arrival, decided.poison[place]))
            continue
        by_chunk[chunk.id].append(arrival)
        if arrival.problem:
            quarantined.append((chunk.batch_id, arrival))
    await quarantine.add(connection, quarantined)
    await dead_letters.add(connection, failures)
    results = _results_of(by_chunk, failures, decided.outcomes)
    await inbox.mark_done(connection, results)
    request_ids = sorted({chunk.request_id for chunk, _ in chunks})
    tracing.set_attributes({"leadger.request_ids": request_ids, "leadger.leads": len(arrivals)})
    counted = _leads_by_state(results)
    log.info("leads_decided", rows=len(results), request_ids=request_ids, **counted)
    batch_us = round((time.perf_counter() - started) * 1_000_000)
    await counters.add(connection, {**counted, "batches": 1, "batch_us": batch_us})


def _results_of(
    by_chunk: Mapping[int, Sequence[Arrival]], failures: Sequence[Failure], outcomes: Mapping[Action, Outcome]
) -> list[tuple[int, dict[str, Any]]]:
    """(row, result) of each row of the inbox."""
    dead: dict[int, int] = defaultdict(int)
    for failure in failures:
        dead[failure.inbox_id] += 1
    results = []
    for chunk_id, arrivals in by_chunk.items():
        result = result_from_arrivals(arrivals, outcomes)
        result["leads"]["dead"] = dead[chunk_id]
        results.append((chunk_id, result))
    return results


def _leads_by_state(results: Sequence[tuple[int, dict[str, Any]]]) -> dict[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for _, result in results:
        for state, count in result["leads"].items():
            counted[f"leads_{state}"] += count
    return counted


async def _decide_quarantined(connection: asyncpg.Connection, decide: Decide, rows: Sequence[asyncpg.Record]) -> int:
    """Decide leads of locked rows of the quarantine; returns how many left it. What still has a problem stays."""
    decided = await decide(connection, [Arrival(lead_from_payload(row["payload"]), row["received_at"]) for row in rows])
    resolved, failures, quarantined = [], [], []
    for place, (row, arrival) in enumerate(zip(rows, decided.arrivals, strict=True)):
        if place in decided.poison:
            error = decided.poison[place]
            failures.append(Failure(0, row["batch_id"], row["received_at"], arrival.id, row["payload"], error))
        elif arrival.problem:
            quarantined.append((row["batch_id"], arrival))
            continue
        resolved.append(row["id"])
    await quarantine.resolve(connection, resolved)
    await quarantine.add(connection, quarantined)
    await dead_letters.add(connection, failures)
    return len(resolved)


def _leads_of(chunk: Chunk) -> list[Lead] | str:
    """The leads of a row, or what is wrong with its payload."""
    try:
        return leads_from_payload(chunk.payload)
    except msgspec.MsgspecError as error:
        return f"unreadable: {error}"


def _failure(chunk: Chunk, arrival: Arrival, error: str) -> Failure:
    payload = payload_from_lead(arrival.lead)
    return Failure(chunk.id, chunk.batch_id, chunk.received_at, arrival.id, payload, error)


def _damaged(chunk: Chunk, error: str) -> Failure:
    return Failure(chunk.id, chunk.batch_id, chunk.received_at, None, chunk.payload, error)
