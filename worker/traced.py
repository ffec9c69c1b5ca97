"""Tasks as spans, in the trace of whoever sent the message. One that fails is logged once and counted."""

from typing import Any

from celery import Celery, Task

from db.tasks.notifications import REQUEST_ID_HEADER
from db.telemetry import tracing
from worker import task_failures


class TracedCelery(Celery):
    """Celery whose messages say which trace they belong to."""

    def send_task(self, name: str, *args: Any, headers: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a task by name; every way of sending one comes through here."""
        # A task that sends itself again begins a new trace: under load it does so all day.
        running = self.current_worker_task
        again = running is not None and running.name == name
        with tracing.span(f"publish {name}", "PRODUCER", carrier={} if again else None):
            return super().send_task(name, *args, headers={**(headers or {}), **tracing.headers()}, **options)


class TracedTask(Task[Any, Any]):
    """A task whose work is a span."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        sent = self.request.headers or {}
        request_id, task_id = sent.get(REQUEST_ID_HEADER, ""), self.request.id or ""
        attributes = {"messaging.message.id": task_id, "leadger.request_id": request_id}
        with tracing.span(self.name, "CONSUMER", attributes, carrier=sent):
            try:
                return super().__call__(*args, **kwargs)
            except Exception:
                task_failures.report(self.name, task_id, request_id)
                raise
