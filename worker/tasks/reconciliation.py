"""A partner's own list against what is billed here."""

from typing import Any

from billing.money import amount_from_minor
from billing.reconciliation import Part, amount_of
from db.reports import reconciliation
from worker.runner import Attempt


async def reconcile(attempt: Attempt) -> dict[str, Any]:
    """Compare the list, and count what matched, what is missing on either side and what differs."""
    counted = await reconciliation.compare(attempt.runtime.engine, attempt.task)
    return {
        part.value: {
            "count": counted[part]["count"],
            "amount": amount_from_minor(amount_of(part, counted[part]["theirs"], counted[part]["ours"])),
        }
        for part in Part
    }
