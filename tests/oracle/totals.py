"""Totals (R9): sums over the verdicts of one billing period."""

from collections.abc import Iterable

from tests.oracle.model import OUTCOMES, Action, Totals


def totals_of(actions: Iterable[Action], period: str) -> Totals:
    """The totals of those actions that are billed in the period, and of the credits booked in it."""
    mine = list(actions)
    verdicts = [action.decided() for action in mine if action.billing_period == period]
    duplicate_savings = sum(verdict.duplicate_savings_minor for verdict in verdicts)
    cap_savings = sum(verdict.cap_savings_minor for verdict in verdicts)
    billed = sum(verdict.billed_minor for verdict in verdicts)
    credited = sum(a.credit.amount_minor for a in mine if a.credit is not None and a.credit.period == period)
    return {
        "leads": len({verdict.lead for verdict in verdicts}),
        "actions": len(verdicts),
        "gross": sum(verdict.value_minor for verdict in verdicts),
        "billed": billed,
        "duplicate_savings": duplicate_savings,
        "cap_savings": cap_savings,
        "savings": duplicate_savings + cap_savings,
        "held": sum(verdict.value_minor for verdict in verdicts if verdict.outcome == "held"),
        "returned": sum(verdict.value_minor for verdict in verdicts if verdict.outcome == "returned"),
        "credits": credited,
        "net": billed - credited,
        "outcomes": {outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in OUTCOMES},
    }
