"""Builders: masters and leads as callers send them, with Faker where a text does not matter."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from faker import Faker

Wire = dict[str, Any]
Step = tuple[str, str, str]
"""An action: type, level, instant."""

fake = Faker()
_numbers = itertools.count(1)


def unique(kind: str) -> str:
    """An id that no other test uses."""
    return f"{kind}-{next(_numbers)}"


def email() -> str:
    """An e-mail address that no other test uses."""
    return f"{fake.user_name()}.{next(_numbers)}@example.com"


def action(action_type: str = "Click", level: str = "High", at: str | datetime = "2024-04-10T09:00:00Z") -> Wire:
    """One action in the wire shape."""
    text = at if isinstance(at, str) else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"action_type": action_type, "engagement_level": level, "timestamp": text}


def lead(
    lead_id: str | None = None,
    *actions: Step,
    customer: str,
    product: str,
    lead_type: str = "Website Visit",
    **more: Any,
) -> Wire:
    """One lead in the wire shape; without actions it has one High click of 10.00."""
    return {
        "lead_id": lead_id or unique("lead"),
        "customer_id": customer,
        "product_id": product,
        "lead_type": lead_type,
        "actions": [action(*step) for step in actions] or [action()],
        **more,
    }


def person(address: str | None = None) -> Wire:
    """A customer described inside a lead."""
    return {"name": fake.name(), "email": address or email()}


def distinct(count: int, at: str, *, customer: str, product: str, level: str = "High") -> list[Wire]:
    """Leads that are no duplicates of each other: every one has an action type of its own."""
    return [lead(None, (unique("Type"), level, at), customer=customer, product=product) for _ in range(count)]


def actions_of(leads: Iterable[Wire]) -> int:
    """How many actions leads hold."""
    return sum(len(each["actions"]) for each in leads)
