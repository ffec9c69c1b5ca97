"""What beat rings for, and how often."""

from typing import Any

from db.core.settings import Settings

_RETENTION_INTERVAL_S = 3600.0


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """The schedule; messages expire after one interval, so an absent worker does not come back to a pile of them."""
    intervals_s = {
        "leads.sweep": settings.sweep_interval_s,
        "reports.snapshot": settings.snapshot_interval_s,
        "ledger.check_invariants": settings.invariants_interval_s,
        "retention.forget": _RETENTION_INTERVAL_S,
    }
    return {
        task: {"task": task, "schedule": interval_s, "options": {"expires": interval_s}}
        for task, interval_s in intervals_s.items()
    }
