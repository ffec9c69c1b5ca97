"""Celery's application for one fault: beat looks for months that have ended every second.

celery -A scripts.dev.chaos.hasty_beat beat
"""

from db.tasks.notifications import START_DUE_RUN
from worker.app import app

app.conf.beat_schedule[START_DUE_RUN] |= {"schedule": 1.0}

__all__ = ["app"]
