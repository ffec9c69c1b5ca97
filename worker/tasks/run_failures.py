"""Failed attempts to bill a partner's period: another one follows later, or it is a dead letter (M1)."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
import structlog

from billing.errors import BillingError
from billing.periods import text_from_period
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.runs import records
from db.runs.records import Item, Result, Run
from worker.runtime import Runtime

log = structlog.get_logger()

_OF_THE_PARTNER = (asyncpg.exceptions.TransactionRollbackError, asyncpg.exceptions.LockNotAvailableError)
"""Faults of the environment that concern one partner: a deadlock, a lock that others hold."""


def is_of_the_partner(error: Exception) -> bool:
    """Whether an error stops the months of a partner only, and not the run."""
    return not isinstance(error, TRANSIENT) or isinstance(error, _OF_THE_PARTNER)


async def note(
    runtime: Runtime, run: Run, item: Item, error: Exception, tried_before: Mapping[UUID, Result] | None = None
) -> None:
    """Note that an attempt failed; `tried_before` is what a dry run has found, which stands with the last attempt."""
    text = str(error) if isinstance(error, BillingError) else f"An unexpected error: {error!r}"
    async with transaction(runtime.engine) as connection:
        has_failed = await records.fail_item(connection, item, text)
        if has_failed and tried_before:
            await records.finish_items(connection, tried_before)
    fields = {"partner": item.partner, "period": text_from_period(item.period), "error": text}
    is_dead_letter = has_failed and not run.asked.dry_run
    log.warning("billing_run_item_failed", run_id=str(run.id), dead_letter=is_dead_letter, **fields)
