"""The Celery application without the sweeper, for beat and worker alike."""

from worker.app import app

del app.conf.beat_schedule["leads.sweep"]

__all__ = ["app"]
