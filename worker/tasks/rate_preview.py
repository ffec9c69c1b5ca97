"""What a change of the rate card would change (`dry_run`)."""

from typing import Any

from billing.money import amount_from_minor
from billing.periods import text_from_period
from db.ledger import rate_preview
from worker.runner import Attempt


async def preview_rate(attempt: Attempt) -> dict[str, Any]:
    """Judge open actions by the changed card, write nothing, and say what would differ."""
    found = await rate_preview.preview(attempt.runtime.engine, attempt.task.arguments)
    return {
        "complete": found.complete,
        "customers": found.customers,
        "actions": found.actions,
        "differences": [
            {
                "partner": each.partner,
                "period": text_from_period(each.period),
                "currency": each.currency,
                "actions": each.actions,
                "gross": amount_from_minor(each.gross_minor),
                "billed": amount_from_minor(each.billed_minor),
            }
            for each in found.differences
        ],
    }
