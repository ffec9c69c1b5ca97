"""Tasks as spans, in the trace of whoever sent the message."""

from typing import Any

from celery import Celery, Task

from db import tracing
from db.doorbell import REQUEST_ID_HEADER


class TracedCelery(Celery):
    """Celery whose messages say which trace they belong to."""

    def send_task(self, name: str, *args: Any, headers: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a task by name; every way of sending one comes through here."""
        # A task that rings for itself begins a new trace: under load it does so all day.
        running = self.current_worker_task
        again = running is not None and running.name == name
        with tracing.span(f"publish {name}", "PRODUCER", carrier={} if again else None):
            return super().send_task(name, *args, headers={**(headers or {}), **tracing.headers()}, **options)


class TracedTask(Task[Any, Any]):
    """A task whose work is a span."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        sent = self.request.headers or {}
        attributes = {
            "messaging.message.id": self.request.id or "",
            "leadger.request_id": sent.get(REQUEST_ID_HEADER, ""),
        }
        with tracing.span(self.name, "CONSUMER", attributes, carrier=sent):
            return super().__call__(*args, **kwargs)
