"""Screening a partner's month for fraud (M4)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from disposable_email_domains import blocklist

from billing.money import amount_from_minor
from db.core.unit_of_work import UnitOfWork
from db.fraud import screening, set_rules
from db.fraud.screening import Screened
from db.ledger.policies import Policies
from db.tasks.records import Progress
from worker.runner import Attempt
from worker.runtime import Runtime


async def screen_fraud(attempt: Attempt) -> dict[str, Any]:
    """Screen the partner's month; the result says what each rule found and how many actions armed ones hold now."""
    arguments, runtime = attempt.task.arguments, attempt.runtime
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    results = await screen(runtime, [partner_id], period, attempt.task.request_id, attempt.progress)
    screened = results[partner_id]
    return {
        "currency": screened.currency,
        "actions": screened.actions,
        "held": screened.held,
        "rules": [
            {
                "rule": found.rule,
                "version": found.version,
                "armed": found.armed,
                "customers": found.customers,
                "actions": found.actions,
                "value": amount_from_minor(found.value_minor),
            }
            for found in screened.found
        ],
    }


async def screen(
    runtime: Runtime,
    partner_ids: Sequence[UUID],
    period: int,
    request_id: str = "",
    progress: Progress | None = None,
) -> dict[UUID, Screened]:
    """Screen a month of some partners, as a run does before it closes them."""
    return await screening.screen(
        lambda: runtime.unit_of_work(request_id), runtime.policies, partner_ids, period, blocklist, progress
    )


async def screen_within(uow: UnitOfWork, policies: Policies, partner_ids: Sequence[UUID], period: int) -> None:
    """Hold what armed rules find, in a unit of work that is rolled back: a dry run counts nothing."""
    if not any(each.armed for each in await set_rules.read_all(uow.connection)):
        return
    in_force = await policies.load(uow.connection, partner_ids)
    await screening.find(uow.connection, list(in_force.values()), period, blocklist)
    for partner_id in partner_ids:
        while (await screening.hold_some(uow, policies, partner_id))[0]:
            pass
