"""Short ways to say what happened, for the tests of the oracle."""

from collections.abc import Sequence
from typing import Any

from tests.oracle import Oracle

Step = tuple[str, str, str]
"""An action: type, level, instant."""

CLICK = ("Click", "High", "2024-04-10T09:00:00Z")


def lead(
    lead_id: str,
    *actions: Step,
    customer: str = "ann",
    product: str = "crm",
    lead_type: str = "Website Visit",
    **more: Any,
) -> dict[str, Any]:
    """A lead in the wire shape."""
    return {
        "lead_id": lead_id,
        "customer_id": customer,
        "product_id": product,
        "lead_type": lead_type,
        "actions": [
            {"action_type": action_type, "timestamp": at, "engagement_level": level}
            for action_type, level, at in actions
        ],
        "created_at": "2024-04-01T00:00:00Z",
        **more,
    }


def world(**terms: Any) -> Oracle:
    """One partner with two products and two customers."""
    oracle = Oracle()
    oracle.add_partner("acme", **terms)
    oracle.add_product("crm", "acme")
    oracle.add_product("erp", "acme")
    oracle.add_customer("ann", "ann@example.com")
    oracle.add_customer("bob", "bob@example.com")
    return oracle


def accept(oracle: Oracle, *leads: dict[str, Any]) -> Oracle:
    """Accept leads, one after the other."""
    for one in leads:
        oracle.accept(one)
    return oracle


def days(level: str, *instants: str, **more: Any) -> list[dict[str, Any]]:
    """One lead with one click for each instant, named a, b, c … in this order."""
    return [lead(chr(97 + i), ("Click", level, at), **more) for i, at in enumerate(instants)]


def summary(oracle: Oracle, partner: str = "acme") -> list[tuple[str, str, int]]:
    """Lead, outcome and billed amount of every action, in evaluation order."""
    return [(v.lead.lead_id, v.outcome, v.billed_minor) for v in oracle.verdicts(partner)]


def by_lead(oracle: Oracle, partner: str = "acme") -> dict[str, tuple[str, int]]:
    """Outcome and billed amount of leads with one action, by lead."""
    return {lead_id: (outcome, billed) for lead_id, outcome, billed in summary(oracle, partner)}


def distinct(count: int, at: str, level: str = "High", prefix: str = "n") -> Sequence[dict[str, Any]]:
    """Leads that are no duplicates of each other: every one has its own action type."""
    return [lead(f"{prefix}{i:02d}", (f"{prefix} type {i:02d}", level, at)) for i in range(count)]
