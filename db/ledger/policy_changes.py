"""Changes of partners: one transaction that locks, refuses or writes, and has judged again what it touches (R16).

Who changes what caps actions waits for the batches of the partners it affects, and keeps new ones out until
the change is committed. The change raises their policy version, which makes their customers stale, and starts the task
that evaluates those again. Billing terms decide no verdict, so they keep no batch waiting (`db.contracts.changes`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from billing.periods import text_from_period
from billing.policy import Policy
from billing.term_starts import start_of_terms, start_of_timezone
from db.contracts import changes
from db.contracts.changes import ContractUpdate
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import reevaluation
from db.ledger.policies import Policies
from db.masters import partners, terms


@dataclass(frozen=True, slots=True)
class PartnerUpdate:
    """What to change of a partner; what is not named stays as it is.

    `fields` are name, billing_email and currency, `terms` are fields of PartnerTerms. Terms of both kinds count from
    `effective_period` on, by default the first open one.
    """

    fields: Mapping[str, str | None] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    effective_period: int | None = None
    timezone: str | None = None
    contract: ContractUpdate = field(default_factory=ContractUpdate)


async def change_partner(
    uow: UnitOfWork, policies: Policies, partner_id: UUID, update: PartnerUpdate, now: datetime
) -> UUID | None:
    """Change an existing partner; returns the task that re-evaluates its open actions, None if that is not needed.

    RuleViolation if terms would start in a closed period, or billing terms in an issued one, or end before they
    start, or for another currency once there is an action (R14). Versions of terms that start later keep what they say.
    """
    task_id = None
    if update.fields or update.terms or update.timezone:
        task_id = await _change_policy(uow, policies, partner_id, update, now)
    elif update.contract.moves_first_bill:
        await locks.lock_partner_exclusive(uow.connection, partner_id)  # a return asks where bills begin
    if update.contract:
        await changes.change(uow, partner_id, update.contract, update.effective_period)
    return task_id


async def _change_policy(
    uow: UnitOfWork, policies: Policies, partner_id: UUID, update: PartnerUpdate, now: datetime
) -> UUID | None:
    await locks.lock_partner_exclusive(uow.connection, partner_id)
    policy = (await policies.load(uow.connection, [partner_id]))[partner_id]
    await _audit(uow, policy, update)
    await partners.write_fields(uow.connection, partner_id, update.fields)
    if update.terms:
        await _change_terms(uow.connection, policy, update.terms, update.effective_period)
    if update.timezone:
        await _change_timezone(uow.connection, policy, update.timezone, now)
    uow.after_commit(policies.clear)
    return await reevaluation.start(uow) if update.terms or update.timezone else None


async def _audit(uow: UnitOfWork, policy: Policy, update: PartnerUpdate) -> None:
    stored = await partners.read(uow.connection, policy.partner_id)
    assert stored is not None
    before = {name: getattr(stored, name) for name in update.fields}
    after = dict(update.fields)
    if update.timezone:
        before["timezone"], after["timezone"] = stored.timezone, update.timezone
    if update.terms:
        start = start_of_terms(policy, update.effective_period)
        agreed = await terms.read_terms(uow.connection, policy.partner_id, start)
        before |= {name: getattr(agreed, name) for name in update.terms}
        after |= {**update.terms, "from_period": text_from_period(start) if start else None}
    await uow.audit("partner.changed", policy.partner_id, before=before, after=after)


async def _change_terms(
    connection: asyncpg.Connection, policy: Policy, changes: Mapping[str, Any], effective_period: int | None
) -> None:
    start = start_of_terms(policy, effective_period)
    changed = replace(await terms.read_terms(connection, policy.partner_id, start), **changes)
    await terms.write_terms(connection, policy.partner_id, start, changed)
    await partners.raise_policy_version(connection, [policy.partner_id])


async def _change_timezone(connection: asyncpg.Connection, policy: Policy, timezone: str, now: datetime) -> None:
    start = start_of_timezone(policy, timezone, now)
    await terms.write_timezone(connection, policy.partner_id, start, timezone)
    await partners.raise_policy_version(connection, [policy.partner_id])
