"""What a worker does at a time: it decides one batch of leads from the inbox or the quarantine.

These functions take an engine, because each opens transactions of its own: one for the batch, one for the people whom
its leads describe, and if the batch fails, a second one that decides it by halves and leaves out who is to blame.
"""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Action, Outcome
from db.core import locks
from db.core.engine import commit_asynchronously
from db.core.errors import BatchTooLarge
from db.intake import claim_limits, dead_letters, inbox, quarantine, quarantine_events
from db.intake.arrival import Arrival
from db.intake.dead_letters import Failure
from db.intake.inbox import Chunk
from db.intake.partitions import PartitionStarts
from db.intake.payloads import lead_from_payload, leads_from_payload, payload_from_lead, payload_from_leads
from db.intake.poison_search import Decide, Decided, run_isolating_poison
from db.intake.request_result import result_from_arrivals
from db.intake.taken_rows import BatchSize, TakenRow, take
from db.ledger.policies import Policies
from db.telemetry import counters, tracing

log = structlog.get_logger()

_REQUESTS_NAMED = 10
"""Request ids in the log line of a batch: it can decide the leads of a thousand requests."""

_LOST = f"Whoever decided this lead alone was lost or ran out of time, {claim_limits.MOST_LOST} times."


async def process_inbox(
    engine: AsyncEngine,
    policies: Policies,
    most_leads: int,
    most_actions: int = inbox.MOST_ACTIONS,
    starts: PartitionStarts | None = None,
) -> int:
    """Decide waiting leads in a transaction of its own; returns of how many rows of the inbox.

    It begins no row after `most_leads`, and takes no more than `most_actions`, except of a single lead that has more.
    If the batch fails because of a lead, the lead goes to the dead letters and the rest is billed.
    """
    most = BatchSize(most_leads, most_actions)
    was_lost: bool | None = None  # before this call, whose own attempts leave the same trace

    async def attempt(connection: asyncpg.Connection, decide: Decide) -> int:
        nonlocal was_lost
        await commit_asynchronously(connection)
        chunks = await inbox.claim(connection, most.leads, most.actions, starts)
        rows = list(take(chunks, most))
        if was_lost is None:
            was_lost = await claim_limits.was_lost(connection, (row.chunk.locked_by for row in rows))
        if rows and was_lost:
            return await _decide_fewer(engine, connection, decide, rows, most)
        if rows:
            await _decide_rows(connection, decide, rows)
        return len(rows)

    with tracing.span("leads.batch"):
        while True:
            try:
                return await run_isolating_poison(engine, policies, attempt)
            except BatchTooLarge:
                most = BatchSize(max(most.leads // 2, 1), most.actions, in_parts=True)


async def _decide_fewer(
    engine: AsyncEngine, connection: asyncpg.Connection, decide: Decide, rows: Sequence[TakenRow], most: BatchSize
) -> int:
    """Decide some of what a batch took that was lost, in the partition of its oldest row; returns of how many rows."""
    partition = min(rows, key=lambda row: row.chunk.id).chunk.partition
    lost = sum(len(row.leads) for row in rows)
    async with claim_limits.noted(engine, connection, partition, lost) as limit:
        fewer = BatchSize(min(limit.most_leads, most.leads), most.actions, in_parts=True)
        taken = list(take([row.chunk for row in rows if row.chunk.partition == partition], fewer))
        await _decide_rows(connection, _blame if limit.is_poison else decide, taken)
    return len(taken)


async def _blame(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Decided:
    """Decide nothing: a `Decide` for a lead that no worker survives."""
    log.error("poison_leads_found", lead_ids=[str(arrival.id) for arrival in arrivals], error=_LOST)
    return Decided(list(arrivals), poison=dict.fromkeys(range(len(arrivals)), _LOST))


async def retry_quarantined(
    engine: AsyncEngine,
    policies: Policies,
    most: int = 500,
    only: Sequence[int] | None = None,
    *,
    among: Sequence[int] | None = None,
    waiting_for: UUID | None = None,
    between: Callable[[int, int], Awaitable[None]] | None = None,
) -> int:
    """Decide quarantined leads whose product and customer now exist, `most` in each transaction, to the last of them.

    They are looked for among some rows, among those that name a product or customer, or among all. Returns how many
    left the quarantine. `only` names rows to retry whatever their reason. `between` is called before each transaction
    with the numbers of rows looked at and released. Every row is looked at once, so those that stay keep no later one
    from being decided.
    """
    last, looked_at, released = 0, 0, 0
    rows: Sequence[asyncpg.Record] = []

    async def attempt(connection: asyncpg.Connection, decide: Decide) -> int:
        nonlocal rows
        rows = await locks.lock_resolvable_quarantine_rows(
            connection,
            most,
            inbox.MOST_ACTIONS * inbox.BYTES_PER_ACTION,
            only=only,
            among=among,
            waiting_for=waiting_for,
            after=last,
        )
        arrivals = list(_fitting_arrivals(rows))
        rows = rows[: len(arrivals)]
        return await _decide_quarantined(connection, decide, rows, arrivals) if rows else 0

    while True:
        if between:
            await between(looked_at, released)
        rows = []
        try:
            released += await run_isolating_poison(engine, policies, attempt)
        except BatchTooLarge:
            most = max(most // 2, 1)
            continue
        if not rows:
            return released
        last, looked_at = rows[-1]["id"], looked_at + len(rows)


def _fitting_arrivals(rows: Sequence[asyncpg.Record]) -> Iterator[Arrival]:
    """The leads of rows of the quarantine until one batch may not have more actions; at least one."""
    actions = 0
    for number, row in enumerate(rows):
        arrival = Arrival(lead_from_payload(row["payload"]), row["received_at"])
        actions += len(arrival.lead.actions)
        if number and actions > inbox.MOST_ACTIONS:
            return
        yield arrival


async def _decide_rows(connection: asyncpg.Connection, decide: Decide, rows: Sequence[TakenRow]) -> None:
    """Decide the leads of claimed rows; what cannot be decided goes to the quarantine or the dead letters."""
    started = time.perf_counter()
    origins = [row.chunk for row in rows for _ in row.leads]
    arrivals = [Arrival(lead, row.chunk.received_at) for row in rows for lead in row.leads]
    decided = await decide(connection, arrivals)
    by_row: dict[int, list[Arrival]] = {row.chunk.id: [] for row in rows}
    failures = [_damaged(row.chunk, row.damage) for row in rows if row.damage]
    quarantined = []
    for place, (chunk, arrival) in enumerate(zip(origins, decided.arrivals, strict=True)):
        if place in decided.poison:
            failures.append(_failure(chunk, arrival, decided.poison[place]))
            continue
        by_row[chunk.id].append(arrival)
        if arrival.problem:
            quarantined.append((chunk.batch_id, arrival))
    await quarantine_events.tell(connection, await quarantine.add(connection, quarantined))
    await _supersede(connection, decided)
    await dead_letters.add(connection, failures)
    await inbox.rewrite(connection, _without_erased(rows, origins, decided.arrivals))
    results = _results_of(by_row, failures, decided.outcomes)
    await _store_results(connection, rows, results)
    requests = sorted({row.chunk.request_id for row in rows})
    named = {"requests": len(requests), "request_ids": requests[:_REQUESTS_NAMED]}
    tracing.set_attributes({"leadger.request_ids": requests, "leadger.leads": len(arrivals)})
    counted = _leads_by_state(results)
    log.info("leads_decided", rows=len(results), **named, **counted)
    batch_us = round((time.perf_counter() - started) * 1_000_000)
    await counters.add(connection, {**counted, "batches": 1, "batch_us": batch_us})


def _without_erased(
    rows: Sequence[TakenRow], origins: Sequence[Chunk], arrivals: Sequence[Arrival]
) -> list[tuple[int, bytes]]:
    """(row, payload) of the rows of the inbox that hold, in clear, somebody who was erased before they came."""
    naming = {chunk.id for chunk, arrival in zip(origins, arrivals, strict=True) if arrival.is_erased}
    payloads = []
    for row in rows:
        if row.chunk.id in naming:
            leads, start = leads_from_payload(row.chunk.payload), row.chunk.decided
            leads[start : start + len(row.leads)] = row.leads
            payloads.append((row.chunk.id, payload_from_leads(leads)))
    return payloads


def _results_of(
    by_row: Mapping[int, Sequence[Arrival]], failures: Sequence[Failure], outcomes: Mapping[Action, Outcome]
) -> dict[int, dict[str, Any]]:
    """What became of the leads that were taken of each row of the inbox."""
    dead: dict[int, int] = defaultdict(int)
    for failure in failures:
        dead[failure.inbox_id] += 1
    results = {}
    for row_id, arrivals in by_row.items():
        results[row_id] = result = result_from_arrivals(arrivals, outcomes)
        result["leads"]["dead"] = dead[row_id]
    return results


async def _store_results(
    connection: asyncpg.Connection, rows: Sequence[TakenRow], results: Mapping[int, dict[str, Any]]
) -> None:
    """Mark rows as decided, as far as they are."""
    await inbox.mark_done(
        connection, [(row.chunk.id, row.result(results[row.chunk.id])) for row in rows if row.ends_row]
    )
    for row in rows:
        if not row.ends_row:
            leads = row.chunk.decided + len(row.leads)
            await inbox.mark_partly_decided(connection, row.chunk.id, leads, row.result(results[row.chunk.id]))
    if ended := [row.chunk.id for row in rows if row.ends_row and row.chunk.decided]:
        await inbox.forget_partly_decided(connection, ended)


def _leads_by_state(results: Mapping[int, dict[str, Any]]) -> dict[str, int]:
    counted: dict[str, int] = defaultdict(int)
    for result in results.values():
        for state, count in result["leads"].items():
            counted[f"leads_{state}"] += count
    return counted


async def _decide_quarantined(
    connection: asyncpg.Connection, decide: Decide, rows: Sequence[asyncpg.Record], arrivals: Sequence[Arrival]
) -> int:
    """Decide leads of locked rows of the quarantine; returns how many left it. What still has a problem stays."""
    decided = await decide(connection, arrivals)
    resolved, failures, quarantined = [], [], []
    for place, (row, arrival) in enumerate(zip(rows, decided.arrivals, strict=True)):
        if arrival.is_erased:
            spelled, key = repr(lead_from_payload(row["payload"]).customer), repr(arrival.lead.customer)
            await quarantine.rewrite(connection, row["id"], arrival, row["detail"].replace(spelled, key))
        if place in decided.poison:
            error = decided.poison[place]
            payload = payload_from_lead(arrival.lead)
            failures.append(Failure(0, row["batch_id"], row["received_at"], arrival.id, payload, error))
        elif arrival.problem:
            quarantined.append((row["batch_id"], arrival))
            continue
        resolved.append(row["id"])
    await quarantine.resolve(connection, resolved)
    await quarantine.add(connection, quarantined)
    await _supersede(connection, decided)
    await dead_letters.add(connection, failures)
    return len(resolved)


async def _supersede(connection: asyncpg.Connection, decided: Decided) -> None:
    """What is in quarantine of leads that were decided leaves it, if it contradicts them."""
    again = [
        arrival
        for place, arrival in enumerate(decided.arrivals)
        if arrival.has_quarantined and not arrival.problem and place not in decided.poison
    ]
    if again:
        await quarantine.supersede(connection, again)


def _failure(chunk: Chunk, arrival: Arrival, error: str) -> Failure:
    payload = payload_from_lead(arrival.lead)
    return Failure(chunk.id, chunk.batch_id, chunk.received_at, arrival.id, payload, error)


def _damaged(chunk: Chunk, error: str) -> Failure:
    return Failure(chunk.id, chunk.batch_id, chunk.received_at, None, chunk.payload, error)
