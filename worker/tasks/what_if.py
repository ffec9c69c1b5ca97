"""What would have been billed with other settings."""

from typing import Any

from billing.money import amount_from_minor
from db.ledger import what_if
from worker.runner import Attempt


async def look(attempt: Attempt) -> dict[str, Any]:
    """Judge real history by other settings, store the differences, and sum them up per partner."""
    found = await what_if.look(attempt.runtime.engine, attempt.task.id, attempt.task.arguments, attempt.progress)
    return {
        "customers": found.customers,
        "actions": found.actions,
        "sums": [
            {
                "partner": each.partner,
                "currency": each.currency,
                "before": amount_from_minor(each.before_minor),
                "after": amount_from_minor(each.after_minor),
                "difference": amount_from_minor(each.after_minor - each.before_minor),
            }
            for each in found.sums
        ],
    }
