"""The Celery worker: its application, its runtime, its tasks and their schedule."""
