"""Fraud rules and held actions on the wire."""

from typing import Any

from api.wire import instant_out
from billing.fraud.rule import SetRule
from billing.money import amount_from_minor
from billing.periods import text_from_period
from db.fraud.held import AtRisk, Held
from db.fraud.set_rules import Tally


def rule_out(rule: SetRule, found: Tally) -> dict[str, Any]:
    """A rule as it is set, with what it found."""
    return {
        "rule": rule.rule.name,
        "version": rule.rule.version,
        "about": rule.rule.about,
        "armed": rule.armed,
        "threshold": rule.threshold,
        "limits": rule.limits,
        "screens": found.screens,
        "customers": found.customers,
        "actions": found.actions,
        "last_screen_at": instant_out(found.last_at),
    }


def held_out(held: Held) -> dict[str, Any]:
    """A held action; its customer is named by key only (P3)."""
    return {
        "action": {
            "action_id": held.action_id,
            "lead_id": held.lead,
            "partner": held.partner,
            "product": held.product,
            "customer_id": held.customer_id,
            "action_type": held.action_type,
            "engagement_level": held.engagement_level,
            "occurred_at": instant_out(held.occurred_at),
            "billing_period": text_from_period(held.billing_period),
        },
        "rule": held.rule,
        "version": held.version,
        "score": held.score,
        "facts": held.facts,
        "value": amount_from_minor(held.value_minor),
        "currency": held.currency,
        "reason": held.reason,
        "held_at": instant_out(held.held_at),
    }


def at_risk_out(at_risk: AtRisk) -> dict[str, Any]:
    """What is held in one currency."""
    return {
        "currency": at_risk.currency,
        "actions": at_risk.actions,
        "value": amount_from_minor(at_risk.value_minor),
    }
