"""What the routes of reconciliations give."""

from typing import Any

from api.wire import amount_out
from db.reports.reconciliation import Entry


def entry_out(entry: Entry) -> dict[str, Any]:
    """Something that is not in both lists alike."""
    return {
        "line": entry.line,
        "lead_id": entry.lead_id,
        "action": entry.action_id,
        "customer": entry.customer,
        "day": entry.day and entry.day.isoformat(),
        "theirs": amount_out(entry.theirs_minor),
        "ours": amount_out(entry.ours_minor),
    }
