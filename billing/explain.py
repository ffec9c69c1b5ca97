"""Explaining verdicts (R15): every figure behind one, and one sentence for a person."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from billing.actions import Outcome, Verdict, Winner, in_evaluation_order
from billing.duplicates import winner_over
from billing.money import amount_from_minor
from billing.periods import name_of_period
from billing.terms import CapScope, Terms
from billing.totals import Totals

STATUS = {
    Outcome.BILLED: "Billed",
    Outcome.PARTLY_BILLED: "Partly Billed (Cap)",
    Outcome.CAPPED: "Not Billed (Cap)",
    Outcome.DUPLICATE: "Not Billed (Duplicate)",
    Outcome.HELD: "Not Billed (Held)",
    Outcome.RETURNED: "Not Billed (Returned)",
}
"""What a report calls each outcome."""
_COUNTED = {
    Outcome.BILLED: "billed",
    Outcome.PARTLY_BILLED: "partly billed up to the cap",
    Outcome.CAPPED: "above the cap",
    Outcome.DUPLICATE: "duplicate",
    Outcome.HELD: "held",
    Outcome.RETURNED: "returned",
}
Amount = Callable[[int], str]
"""How an amount in minor units is written."""
Other = Callable[[UUID, datetime | None], str]
"""How another action is named, by its id and, where that tells it apart, when it happened."""
_CAPS_CACHED = 1_000  # most lines of a report name the same cap


class Explained(NamedTuple):
    """One verdict, the winner it duplicates, and the cap used before and after it (minor units; None without a cap)."""

    verdict: Verdict
    winner: Winner | None
    cap_before_minor: int | None
    cap_after_minor: int | None


class Decision(NamedTuple):
    """What people decided about an action: why it is held, returned or credited, and which action corrects which."""

    reason: str | None = None
    corrects: UUID | None = None
    corrected_by: UUID | None = None


class Credit(NamedTuple):
    """The amount credited for a returned action of a closed period, and the period it is booked in (R11)."""

    amount_minor: int
    period: int


def explain(
    verdicts: Iterable[Verdict], winners: Mapping[UUID, Sequence[Winner]], terms: Terms, used_before_minor: int
) -> list[Explained]:
    """Explain verdicts of one customer that follow each other in one billing period, in evaluation order.

    `winners` are the holders of the keys that duplicates among them have, in evaluation order; `terms` are those of
    the period; `used_before_minor` is what of the cap is used before the first of them.
    """
    used = used_before_minor
    lines = []
    for verdict in sorted(verdicts, key=lambda verdict: in_evaluation_order(verdict.action)):
        lines.append(explain_one(verdict, winners.get(verdict.action.key, ()), terms, used))
        used += verdict.billed_minor
    return lines


def explain_one(verdict: Verdict, holders: Iterable[Winner], terms: Terms, used_minor: int) -> Explained:
    """Explain one verdict, given the holders of its key in evaluation order and the cap used before it."""
    winner = None
    if verdict.outcome is Outcome.DUPLICATE:
        others = [holder for holder in holders if holder.action_id != verdict.action.id]
        winner = winner_over(verdict.action, others, terms.window)
    if terms.cap_minor is None:
        return Explained(verdict, winner, None, None)
    return Explained(verdict, winner, used_minor, used_minor + verdict.billed_minor)


def action_by_id(action_id: UUID, occurred_at: datetime | None) -> str:
    """Another action as programs find it: "action 0190… of 2024-04-01 09:00:00 UTC"."""
    if occurred_at is None:
        return f"action {action_id}"
    return f"action {action_id} of {occurred_at.isoformat(' ', 'seconds').removesuffix('+00:00')} UTC"


def reason_text(
    line: Explained,
    terms: Terms,
    currency: str,
    rule: str,
    decision: Decision,
    credit: Credit | None,
    amount: Amount = amount_from_minor,
    other: Other = action_by_id,
) -> str:
    """Why the action was or was not billed, in one sentence.

    `rule` names the conditions of the rate that prices it; `amount` writes money, `other` names other actions.
    """
    verdict = line.verdict
    action = verdict.action
    value = f"{amount(action.value_minor)} {currency}"
    month = name_of_period(action.billing_period)
    reason = f" ({decision.reason})" if decision.reason else ""
    match verdict.outcome:
        case Outcome.BILLED:
            text = f"Billed in full: {value} by the rate for {rule}"
            text += _cap_used(line, terms, currency, month, amount)
        case Outcome.PARTLY_BILLED:
            text = (
                f"Billed {amount(verdict.billed_minor)} of {value} (rate for {rule}), because only that was "
                f"left of {_cap_text(terms, currency, month, amount)}"
            )
        case Outcome.CAPPED:
            text = f"Not billed: {_cap_text(terms, currency, month, amount)} was already used up"
            text += f"; its value is {value} (rate for {rule})"
        case Outcome.DUPLICATE:
            text = f"Not billed: duplicate of {_winner_text(line.winner, other)}; its value is {value}"
            text += f" (rate for {rule})"
        case Outcome.HELD:
            text = f"Not billed while it is held{reason}; its value is {value} (rate for {rule})"
        case Outcome.RETURNED:
            text = f"Not billed, because it was returned{reason}; its value is {value} (rate for {rule})"
    if action.billing_period > action.own_period:
        own = name_of_period(action.own_period)  # which may be open again by now
        text += f"; it belongs to {own}, which was closed before it could be billed there, and is billed in {month}"
    if credit is not None:
        text += f"; {amount(credit.amount_minor)} {currency} are credited in {name_of_period(credit.period)}"
        text += f", because it was returned{reason}"
    if decision.corrected_by is not None:
        text += f"; it was corrected, and {other(decision.corrected_by, None)} stands for it"
    if decision.corrects is not None:
        text += f"; it corrects {other(decision.corrects, None)}"
    return text + "."


def totals_text(totals: Totals) -> str:
    """What became of a lead's actions: "12 actions: 10 billed, 2 duplicate." or "1 action: billed."."""
    counts = {outcome: getattr(totals, outcome.value) for outcome in _COUNTED}
    if totals.actions == 1:
        return f"1 action: {next((_COUNTED[each] for each, count in counts.items() if count), 'nothing is billed')}."
    parts = ", ".join(f"{count:,} {_COUNTED[outcome]}" for outcome, count in counts.items() if count)
    return f"{totals.actions:,} actions: {parts or 'nothing is billed'}."


def _cap_used(line: Explained, terms: Terms, currency: str, month: str, amount: Amount) -> str:
    if line.cap_after_minor is None:
        return ", without a cap"
    return f"; {amount(line.cap_after_minor)} of {_cap_text(terms, currency, month, amount)} is now used"


@lru_cache(_CAPS_CACHED)
def _cap_text(terms: Terms, currency: str, month: str, amount: Amount) -> str:
    cap = f"the cap of {amount(terms.cap_minor or 0)} {currency} per customer"
    return f"{cap} for all time" if terms.cap_scope is CapScope.LIFETIME else f"{cap} in {month}"


def _winner_text(winner: Winner | None, other: Other) -> str:
    return "an earlier action" if winner is None else other(winner.action_id, winner.occurred_at)
