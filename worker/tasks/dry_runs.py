"""Dry runs of the monthly billing: what a run would do for a partner, in one transaction that is rolled back (M3)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from billing.errors import RuleViolation
from billing.runs import Outcome
from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger.policies import Policies
from db.runs import billing, records
from db.runs.billing import CustomersStale
from db.runs.dry_run import dry_unit_of_work
from db.runs.records import Item, Result, Run
from worker.runtime import Runtime
from worker.tasks import fraud, run_failures


async def try_items(runtime: Runtime, run: Run, items: Sequence[Item]) -> None:
    """Try items, partner by partner, and note what would become of them."""
    apart = replace(runtime, policies=Policies())  # what is rolled back is not remembered
    async with transaction(runtime.engine, readonly=True) as connection:
        await apart.policies.load(connection, {item.partner_id for item in items})  # in few statements
    for _, of_partner in groupby(sorted(items, key=attrgetter("partner_id", "period")), attrgetter("partner_id")):
        await _try_partner(apart, run, list(of_partner))


async def _try_partner(runtime: Runtime, run: Run, items: Sequence[Item]) -> None:
    """Try the periods of a partner, each on top of those before it; if one fails, all of them are tried again."""
    results: dict[UUID, Result] = {}
    keeps_batches_out = not any(item.is_large for item in items)
    try:
        async with dry_unit_of_work(runtime.engine, run.request_id) as uow:
            free = await locks.lock_run_items(uow.connection, [item.id for item in items])
            if len(free) < len(items):
                return  # another process tries the partner
            for item in items:
                results[item.id] = await _try_one(runtime, uow, item, keeps_batches_out=keeps_batches_out)
                if results[item.id].outcome is Outcome.WAITING:
                    break  # and so do the later ones
    except Exception as error:
        if not run_failures.is_of_the_partner(error):
            raise
        await run_failures.note(runtime, run, items[len(results)], error, tried_before=results)
    else:
        async with transaction(runtime.engine) as connection:
            await records.finish_items(connection, results)


async def _try_one(runtime: Runtime, uow: UnitOfWork, item: Item, *, keeps_batches_out: bool) -> Result:
    await fraud.screen_within(uow, runtime.policies, [item.partner_id], item.period)
    try:
        billed = await billing.bill(
            uow,
            runtime.policies,
            [item.partner_id],
            item.period,
            datetime.now(UTC),
            threshold_percent=runtime.settings.billing_threshold_percent,
            keeps_batches_out=keeps_batches_out,
        )
    except CustomersStale:
        raise RuleViolation("Its customers are being judged by new terms or rates; try again soon.") from None
    result = billed[item.partner_id]
    return replace(result, bill_id=None) if result.outcome is Outcome.SUCCESSFUL else result  # its bill is no more
