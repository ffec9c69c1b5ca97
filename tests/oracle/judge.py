"""The verdicts of one customer of one partner (R5 to R10), by walking all actions in evaluation order."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.oracle.keys import action_key, own_action_key
from tests.oracle.model import Action, Outcome, Verdict
from tests.oracle.rates import Dimensions, RateCard
from tests.oracle.terms import Terms

HOLDS_ITS_KEY = ("billed", "partly_billed", "capped")


def evaluation_order(action: Action) -> tuple[str, datetime, uuid.UUID, str, str, int, uuid.UUID]:
    """The order of R8."""
    return (
        action.billing_period,
        action.id.instant,
        action.lead.uuid,
        action.id.action_type,
        action.id.level,
        action.id.occurrence,
        action_uuid(action),
    )


def action_uuid(action: Action) -> uuid.UUID:
    """The row key of an action: actions that differ only in their own ids are told apart by it."""
    named = action.id
    if named.own_id:
        return own_action_key(action.lead.uuid, named.own_id)
    return action_key(action.lead.uuid, named.action_type, named.level, named.instant, named.occurrence)


def judge(actions: Sequence[Action], card: RateCard) -> None:
    """Set the verdict of every open action; the frozen ones come first in order and keep theirs.

    All actions must belong to one partner and one customer.
    """
    winners: dict[tuple[str, str, str], list[Action]] = defaultdict(list)
    billed_by_period: dict[str, int] = defaultdict(int)
    billed_ever = 0
    credited = [action for action in actions if action.credit is not None]
    for action in sorted(actions, key=evaluation_order):
        key = (action.lead.product, action.id.action_type, action.id.level)
        if not action.frozen:
            terms = action.lead.partner.terms.at(action.billing_period)
            if terms.cap_scope == "period":
                used = billed_by_period[action.billing_period]
            else:
                used = billed_ever - _credited(credited, action.billing_period)
            action.verdict = _verdict(action, terms, _value(action, card), winners[key], used)
        verdict = action.decided()
        if verdict.outcome in HOLDS_ITS_KEY:
            winners[key].append(action)
        billed_by_period[action.billing_period] += verdict.billed_minor
        billed_ever += verdict.billed_minor


def _value(action: Action, card: RateCard) -> int:
    lead = action.lead
    named = Dimensions(lead.partner.external_id, lead.product, lead.lead_type, action.id.action_type, action.id.level)
    return card.price(named, action.id.instant, lead.partner.calendar)


def _credited(credited: Sequence[Action], period: str) -> int:
    return sum(a.credit.amount_minor for a in credited if a.credit is not None and a.credit.period <= period)


def _verdict(action: Action, terms: Terms, value: int, winners: Sequence[Action], used: int) -> Verdict:
    duplicate_of: Action | None = None
    billed = duplicate_savings = cap_savings = 0
    outcome: Outcome
    if action.returned:
        outcome = "returned"
    elif action.held:
        outcome = "held"
    elif (duplicate_of := _winner_before(action, terms, winners)) is not None:
        outcome = "duplicate"
        duplicate_savings = value
    else:
        billed = value if terms.cap_minor is None else min(value, max(0, terms.cap_minor - used))
        cap_savings = value - billed
        outcome = "billed" if billed == value else "capped" if billed == 0 else "partly_billed"
    return Verdict(
        lead=action.lead.id,
        action=action.id,
        customer=action.lead.person.ids[0],
        product=action.lead.product,
        own_period=action.own_period,
        billing_period=action.billing_period,
        late=action.billing_period > action.own_period,
        value_minor=value,
        billed_minor=billed,
        duplicate_savings_minor=duplicate_savings,
        cap_savings_minor=cap_savings,
        outcome=outcome,
        duplicate_of=None if duplicate_of is None else duplicate_of.id,
        cap_before_minor=None if terms.cap_minor is None else used,
        cap_after_minor=None if terms.cap_minor is None else used + billed,
    )


def _winner_before(action: Action, terms: Terms, winners: Sequence[Action]) -> Action | None:
    """The earliest winner, in evaluation order, that still holds the key within the window."""
    for winner in winners:
        released = winner.credit is not None and winner.credit.period <= action.billing_period
        if not released and _within(terms, action, winner):
            return winner
    return None


def _within(terms: Terms, action: Action, winner: Action) -> bool:
    if terms.window == "forever":
        return True
    if terms.window == "period":
        return action.own_period == winner.own_period
    return abs(action.id.instant - winner.id.instant) < timedelta(days=terms.window)
