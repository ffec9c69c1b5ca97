"""Changes of terms, time zones and rates (R16): one transaction that locks, refuses or writes, and has it re-evaluated.

Who changes what prices and caps actions waits for the batches of the partners it affects, and keeps new ones out until
the change is committed. The change raises their policy version, which makes their customers stale, and starts the task
that evaluates those again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.policy import Policy
from billing.policy_changes import InvalidRate, check_term_dates, start_of_rate, start_of_terms, start_of_timezone
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import reevaluation
from db.ledger.policies import Policies
from db.masters import partners, rates, terms
from db.masters.rates import NewRate


@dataclass(frozen=True, slots=True)
class PartnerUpdate:
    """What to change of a partner; what is not named stays as it is.

    `fields` are name, billing_email and currency, `terms` are fields of PartnerTerms. Terms count from
    `effective_period` on, by default the first open one.
    """

    fields: Mapping[str, str | None] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    effective_period: int | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class RateCreated:
    """A new rule, and the task that re-evaluates what it prices."""

    rule_id: int
    task_id: UUID


async def change_partner(
    uow: UnitOfWork, policies: Policies, partner_id: UUID, update: PartnerUpdate, now: datetime
) -> UUID | None:
    """Change an existing partner; returns the task that re-evaluates its open actions, None if that is not needed.

    RuleViolation if terms would start in a closed period or end before they start, or for another currency once there
    is an action (R14). Versions of terms that start later keep what they say.
    """
    await locks.lock_partner_exclusive(uow.connection, partner_id)
    policy = (await policies.load(uow.connection, [partner_id]))[partner_id]
    await partners.write_fields(uow.connection, partner_id, update.fields)
    if update.terms:
        await _change_terms(uow.connection, policy, update.terms, update.effective_period)
    if update.timezone:
        await _change_timezone(uow.connection, policy, update.timezone, now)
    uow.after_commit(policies.clear)
    return await reevaluation.start(uow, [partner_id]) if update.terms or update.timezone else None


async def create_rate(uow: UnitOfWork, policies: Policies, rate: NewRate) -> RateCreated:
    """Add a rule to the rate card and re-evaluate the open actions that it can price.

    InvalidRate if an engagement level would have no price, or the product is another partner's. RuleViolation if it
    would start in a closed period, or a rule with the same conditions and start exists (R5).
    """
    if rate.amount_minor is None and not (rate.partner_id or rate.product_id or rate.lead_type or rate.action_type):
        raise InvalidRate("amount", "must not be null for a rule that names a level only")
    partner_ids = await lock_affected_partners(uow.connection, rate.partner_id, rate.product_id)
    if rate.product_id and not partner_ids:
        raise InvalidRate("product", "is not a product of this partner")
    in_force = await policies.load(uow.connection, partner_ids)
    start = start_of_rate(in_force.values(), rate.effective_from)
    rule_id = await rates.insert(uow.connection, replace(rate, effective_from=start))
    if rule_id is None:
        raise RuleViolation("A rule with the same conditions and the same start exists.")
    await partners.raise_policy_version(uow.connection, partner_ids)
    uow.after_commit(policies.clear)
    return RateCreated(rule_id, await reevaluation.start(uow, partner_ids))


async def lock_affected_partners(
    connection: asyncpg.Connection, partner_id: UUID | None, product_id: UUID | None
) -> list[UUID]:
    """Lock the partners whose actions a rule for this partner and product can price, and return them.

    A rule for all partners reads them under its lock: one that is created meanwhile waits and then finds the rule.
    """
    if partner_id is None and product_id is None:
        await locks.lock_rate_card_exclusive(connection)
        return await rates.affected_partners(connection, None, None)
    affected = await rates.affected_partners(connection, partner_id, product_id)
    for affected_id in affected:  # one at most: a product belongs to one partner
        await locks.lock_partner_exclusive(connection, affected_id)
    return affected


async def _change_terms(
    connection: asyncpg.Connection, policy: Policy, changes: Mapping[str, Any], effective_period: int | None
) -> None:
    start = start_of_terms(policy, effective_period)
    changed = replace(await terms.read_terms(connection, policy.partner_id, start), **changes)
    check_term_dates(changed.start_date, changed.end_date)
    await terms.write_terms(connection, policy.partner_id, start, changed)
    await partners.raise_policy_version(connection, [policy.partner_id])


async def _change_timezone(connection: asyncpg.Connection, policy: Policy, timezone: str, now: datetime) -> None:
    start = start_of_timezone(policy, timezone, now)
    await terms.write_timezone(connection, policy.partner_id, start, timezone)
    await partners.raise_policy_version(connection, [policy.partner_id])
