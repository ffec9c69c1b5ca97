"""The billing scheduler for Python: runs in this process, whether or not workers are there.

    from worker.billing_scheduler import process_monthly_billing
    result = await process_monthly_billing(shop_ids=["acme"], period="2024-04", dry_run=True)

DATABASE_URL and REDIS_URL say where Leadger is. The functions raise InvalidValue for what is no period or id, and
RuleViolation for what cannot be billed now, or for partners that do not exist.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.identity import check_id
from billing.periods import period_from_text
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.core.settings import Settings
from db.core.unit_of_work import Message, publish_nothing
from db.masters import partners
from db.runs import records, starting
from db.runs.records import Asked, Item, Run
from db.runs.wire import runs_out
from db.tasks.notifications import RUN_SUBTASKS
from worker.runner import Interrupted, TurnOver
from worker.runtime import Runtime, create_runtime
from worker.task_kinds import RUNNER
from worker.tasks.background import run_last_free

_NAME = "leadger-python"
POLL_INTERVAL_S = 0.2
"""How often it looks whether a worker that has the run has ended it."""
_RUNS_SHOWN = 20
_RESULTS_AT_ONCE = 1_000


async def process_monthly_billing(
    shop_ids: Sequence[str] | None = None, period: str | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Bill a month of some partners or all, by default last month; returns the finished run as the API tells it."""
    async with _runtime() as runtime:
        async with runtime.unit_of_work() as uow:
            partner_ids = None if shop_ids is None else [partner_uuid(check_id(each)) for each in shop_ids]
            for shop_id, partner_id in zip(shop_ids or (), partner_ids or (), strict=True):
                if not await partners.exists(uow.connection, partner_id):
                    raise RuleViolation(f"There is no partner {shop_id!r}.")
            asked = Asked("python", period_from_text(period) if period else None, partner_ids, dry_run)
            run_id = await starting.request(uow, runtime.policies, asked, datetime.now(UTC))
        return await _finished(runtime, run_id)


async def process_shop_billing(shop_id: str, period: str | None = None, dry_run: bool = False) -> dict[str, Any]:
    """Bill a month of one partner, by default last month; returns the finished run."""
    return await process_monthly_billing([shop_id], period, dry_run)


async def get_billing_status(run_id: UUID | str | None = None) -> list[dict[str, Any]]:
    """The last runs, the newest first; with an id that run alone, with what became of every partner's period."""
    async with _runtime() as runtime, transaction(runtime.engine, readonly=True) as connection:
        if run_id is None:
            return await runs_out(connection, await records.newest(connection, _RUNS_SHOWN))
        run = await records.read(connection, UUID(str(run_id)))
        return [await _with_results(connection, run)] if run else []


@asynccontextmanager
async def _runtime() -> AsyncIterator[Runtime]:
    """A runtime that helps itself: where a run asks for help with its portions, a second one bills with it.

    So one waits for Postgres while the other computes. Each has its own cache, as two processes have.
    """
    helpers: list[asyncio.Task[None]] = []

    def publish(message: Message, _: str) -> None:
        if message.task == RUN_SUBTASKS and not helpers:
            helpers.append(asyncio.create_task(_help(message.arguments)))

    runtime = create_runtime(Settings(), _NAME, publish)
    try:
        yield runtime
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)  # what it could not bill, the run has billed
        await runtime.engine.dispose()


async def _help(portion_ids: Sequence[str]) -> None:
    """Bill portions of a run, the last one first, until none is free."""
    runtime = create_runtime(Settings(), _NAME, publish_nothing)
    try:
        while await run_last_free(runtime, portion_ids):
            pass
    finally:
        await runtime.engine.dispose()


async def _finished(runtime: Runtime, run_id: UUID) -> dict[str, Any]:
    """Run it to its end; a worker that has it already is waited for."""
    async with transaction(runtime.engine, readonly=True) as connection:
        task_id = await records.task_of(connection, run_id)
    while True:
        try:
            await RUNNER.attempt(runtime, task_id)
        except TurnOver:
            continue  # nobody else waits for this process
        except Interrupted:
            pass
        async with transaction(runtime.engine, readonly=True) as connection:
            run = await records.read(connection, run_id)
            assert run is not None
            if run.completed_at:
                return await _with_results(connection, run)
        await asyncio.sleep(POLL_INTERVAL_S)


async def _with_results(connection: asyncpg.Connection, run: Run) -> dict[str, Any]:
    """A run with what became of every partner's period."""
    results: list[Item] = []
    while items := await records.items(
        connection, run.id, after=results[-1].place if results else None, limit=_RESULTS_AT_ONCE
    ):
        results += items
    (shown,) = await runs_out(connection, [run], results)
    return shown
