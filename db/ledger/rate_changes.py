"""Changes of the rate card (R5, R16): one transaction that locks, refuses or writes, and has it re-evaluated.

No rule is ever overwritten. A changed rule ends, and a new one takes its place from the same start on, or, where that
lies in closed periods, from the first open one. So the rules by which closed periods were priced stay as they were.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.policy import PartnerCalendar
from billing.rate_starts import check_start, ends, later_starts
from billing.rates import InvalidRate
from billing.texts import text_key
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import reevaluation
from db.ledger.policies import Policies, read_closed
from db.masters import partners, rates
from db.masters.rates import NewRate, StoredRate

_PARTNERS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Touched:
    """The partners whose actions a rule can price, and the calendars of those that have closed periods."""

    partner_ids: Sequence[UUID]
    closed: Collection[PartnerCalendar]


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The rule that was made or ended, and the task that re-evaluates what it prices."""

    rule_id: int
    task_id: UUID


async def create_rate(uow: UnitOfWork, policies: Policies, rate: NewRate) -> RateChanged:
    """Add a rule to the rate card and re-evaluate the open actions that it can price.

    A rule in force with the same conditions and start ends; the new one takes its place. InvalidRate if an engagement
    level would have no price, or the product is another partner's. RuleViolation if it would start in a closed period.
    """
    touched = await _lock_touched(uow.connection, rate)
    rule_id = await write_created(uow.connection, touched, rate, uow.actor.name)
    for replaced in (await _existing(uow.connection, rule_id)).replaces:
        await uow.audit("rate.ended", replaced, before=asdict((await _existing(uow.connection, replaced)).rate))
    await uow.audit("rate.created", rule_id, after=asdict(rate))
    return await _announce(uow, policies, touched, rule_id)


async def change_rate(uow: UnitOfWork, policies: Policies, rule_id: int, amount_minor: int | None) -> RateChanged:
    """Give a rule another amount: a new rule takes its place, and its id is in the answer.

    RuleViolation if the rule has ended, or if another one has followed it before the first open period.
    """
    old = (await _existing(uow.connection, rule_id)).rate
    touched = await _lock_touched(uow.connection, old)
    new_id = await write_changed(uow.connection, touched, rule_id, amount_minor, uow.actor.name)
    facts = {"rule_id": new_id, "amount_minor": amount_minor}
    await uow.audit("rate.changed", rule_id, before={"amount_minor": old.amount_minor}, after=facts)
    return await _announce(uow, policies, touched, new_id)


async def end_rate(uow: UnitOfWork, policies: Policies, rule_id: int) -> RateChanged:
    """End a rule: it counts in closed periods only, and what counted before it counts again.

    RuleViolation if it has ended, or if an engagement level would have no price.
    """
    old = (await _existing(uow.connection, rule_id)).rate
    touched = await _lock_touched(uow.connection, old)
    await write_ended(uow.connection, touched, rule_id, uow.actor.name)
    await uow.audit("rate.ended", rule_id, before=asdict(old))
    return await _announce(uow, policies, touched, rule_id)


async def write_created(connection: asyncpg.Connection, touched: Touched, rate: NewRate, actor: str) -> int:
    """Check and store a new rule, and end the one whose place it takes; the same without lock and announcement."""
    _check_amount(rate)
    if rate.product_id and not touched.partner_ids:
        raise InvalidRate("product", "is not a product of this partner")
    check_start(touched.closed, rate.start)
    later = {} if rate.start is not None else later_starts(touched.closed, None, {})
    return await _insert(connection, touched, rate, later, actor)


async def write_changed(
    connection: asyncpg.Connection, touched: Touched, rule_id: int, amount_minor: int | None, actor: str
) -> int:
    """Check and store the rule that takes the place of another one; returns its id."""
    old = await _in_force(connection, rule_id)
    rate = replace(old.rate, amount_minor=amount_minor)
    _check_amount(rate)
    counted = list(ends(touched.closed, old.rate.start, old.spans))
    for first in range(0, len(counted), _PARTNERS_AT_ONCE):
        some = await Policies().load(connection, counted[first : first + _PARTNERS_AT_ONCE])
        for policy in some.values():
            counting = policy.card.counting(_conditions(rate), policy.calendar.start_of(policy.first_open))
            if counting != rule_id:
                raise RuleViolation(f"Rule {rule_id} counts in closed periods only: rule {counting} has followed it.")
    later = later_starts(touched.closed, rate.start, old.spans)
    await rates.end(connection, rule_id, ends(touched.closed, old.rate.start, old.spans), actor)
    new_id = await _insert(connection, touched, rate, later, actor)
    await rates.note_replaced(connection, rule_id, new_id)
    return new_id


async def write_ended(connection: asyncpg.Connection, touched: Touched, rule_id: int, actor: str) -> None:
    """Check and store that a rule has ended."""
    old = await _in_force(connection, rule_id)
    if old.rate.names_level_only and old.rate.engagement_level and old.rate.start is None:
        raise RuleViolation("Every engagement level has a price; change the amount of this rule instead.")
    await rates.end(connection, rule_id, ends(touched.closed, old.rate.start, old.spans), actor)


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


async def _insert(
    connection: asyncpg.Connection, touched: Touched, rate: NewRate, later: dict[UUID, int], actor: str
) -> int:
    if later and (rate.partner_id or rate.product_id):  # one partner: its first open period is the start
        rate, later = replace(rate, start=later.popitem()[1]), {}
    replaced = await rates.in_force(connection, rate)
    if replaced is not None:
        old = await _existing(connection, replaced)
        await rates.end(connection, replaced, ends(touched.closed, old.rate.start, old.spans), actor)
    rule_id = await rates.insert(connection, rate, later, actor)
    if replaced is not None:
        await rates.note_replaced(connection, replaced, rule_id)
    return rule_id


async def read_touched(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> Touched:
    """What a change of a rule needs to know of the partners that it touches."""
    return Touched(partner_ids, (await read_closed(connection, partner_ids)).values())


async def _lock_touched(connection: asyncpg.Connection, rate: NewRate) -> Touched:
    partner_ids = await lock_affected_partners(connection, rate.partner_id, rate.product_id)
    return await read_touched(connection, partner_ids)


async def _announce(uow: UnitOfWork, policies: Policies, touched: Touched, rule_id: int) -> RateChanged:
    await partners.raise_policy_version_for_rates(uow.connection, touched.partner_ids)
    uow.after_commit(policies.clear)
    return RateChanged(rule_id, await reevaluation.start(uow))


async def _existing(connection: asyncpg.Connection, rule_id: int) -> StoredRate:
    rule = await rates.read(connection, rule_id)
    assert rule is not None, "rules are never deleted"
    return rule


async def _in_force(connection: asyncpg.Connection, rule_id: int) -> StoredRate:
    rule = await _existing(connection, rule_id)
    if rule.ended_at is not None:
        followed = f" Rule {rule.replaced_by} has taken its place." if rule.replaced_by else ""
        raise RuleViolation(f"Rule {rule_id} has ended.{followed}")
    return rule


def _check_amount(rate: NewRate) -> None:
    if rate.amount_minor is None and rate.names_level_only:
        raise InvalidRate("amount", "must not be null for a rule that names a level only")


def _conditions(rate: NewRate) -> tuple[UUID | None, UUID | None, str | None, str | None, str | None]:
    lead_type, action_type, level = (
        None if text is None else text_key(text) for text in (rate.lead_type, rate.action_type, rate.engagement_level)
    )
    return rate.partner_id, rate.product_id, lead_type, action_type, level
