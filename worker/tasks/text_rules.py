"""Bringing what older releases stored under the rules of texts of this one (R1, R12)."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from db.core.engine import transaction
from db.ledger import reevaluation
from db.ledger import text_rules as ledger_rules
from db.ledger.case import Customer
from db.ledger.text_rules import Part
from db.masters import text_findings
from db.masters import text_rules as master_rules
from worker.runner import Attempt
from worker.tasks.reevaluation import rejudge_stale

log = structlog.get_logger()


async def apply_text_rules(attempt: Attempt) -> dict[str, Any]:
    """Find what the rules join now; note it, leave what is frozen, and judge again what is open. Repeating is safe."""
    engine, policies = attempt.runtime.engine, attempt.runtime.policies
    async with transaction(engine) as connection:
        emails = await master_rules.respell_emails(connection)
        zones = await master_rules.check_timezones(connection)
    async with transaction(engine) as connection:
        partner_ids = await master_rules.rekey_rates(connection)
    policies.clear()
    customers = await _customers(attempt, ledger_rules.customers_by_actions)
    customers |= await _customers(attempt, ledger_rules.customers_by_leads)
    for done, customer in enumerate(sorted(customers), 1):
        await ledger_rules.rekey(engine, policies, customer)
        await attempt.progress(done, len(customers))
    await reevaluation.settled(engine)
    await rejudge_stale(attempt, partner_ids)
    async with transaction(engine, readonly=True) as connection:
        found = await text_findings.count(connection)
    log.info("text_rules_applied", emails=emails, time_zones=len(zones), customers=len(customers), findings=found)
    return {"emails": emails, "customers": len(customers), "findings": found}


async def _customers(attempt: Attempt, read: Callable[[asyncpg.Connection, UUID], Awaitable[Part]]) -> set[Customer]:
    found: set[Customer] = set()
    after: UUID | None = ledger_rules.START
    while after is not None:
        async with transaction(attempt.runtime.engine, readonly=True) as connection:
            part = await read(connection, after)
        found |= part.customers
        after = part.next
    return found
