"""What beat announces, and how often."""

from typing import Any

from db.core.settings import Settings
from db.tasks.notifications import (
    APPLY_RETENTION,
    CHECK_INVARIANTS,
    PROVE_BILLS,
    REMIND,
    SNAPSHOT_REPORTS,
    START_DUE_RUN,
    SWEEP,
    TELL_PEOPLE,
)

_RETENTION_INTERVAL_S = 3600.0


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """The schedule; messages expire after one interval, so an absent worker does not come back to a pile of them."""
    intervals_s = {
        SWEEP: settings.sweep_interval_s,
        SNAPSHOT_REPORTS: settings.snapshot_interval_s,
        CHECK_INVARIANTS: settings.invariants_interval_s,
        PROVE_BILLS: settings.invariants_interval_s,
        APPLY_RETENTION: _RETENTION_INTERVAL_S,
        REMIND: settings.reminder_interval_s,
        TELL_PEOPLE: settings.notice_interval_s,
        START_DUE_RUN: settings.billing_interval_s,
    }
    return {
        task: {"task": task, "schedule": interval_s, "options": {"expires": interval_s}}
        for task, interval_s in intervals_s.items()
    }
