"""The doorbell: a small Celery message after a commit, sent by task name. Losing one costs a moment, never a lead."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery

from db.core.settings import Settings
from db.core.unit_of_work import Message
from db.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

PROCESS_LEADS = "leads.process"
RETRY_QUARANTINE = "quarantine.replay"
RUN_TASK = "tasks.run"
RUN_SUBTASKS = "tasks.run_subtasks"

LEADS_PRIORITY = 9
"""The lowest one on Redis: rings for leads pile up while more come than are decided; background tasks pass them."""

SUBTASK_PRIORITY = 6
"""Before leads, so that help comes; whoever helps gives them a turn by itself."""

REQUEST_ID_HEADER = "leadger_request_id"
_SHORTEST_PAUSE_S = 0.05
_PAUSE_AFTER_FAILURE_S = 0.5

log = structlog.get_logger()


def broker_configuration(settings: Settings) -> dict[str, Any]:
    """What both ends of the broker share. Without these timeouts a publish to a silent Redis hangs for ever."""
    return {
        "broker_url": settings.redis_url,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
        },
        "redis_socket_timeout": 5.0,
        "redis_socket_connect_timeout": 5.0,
        "task_ignore_result": True,
        "task_default_queue": "leadger",
        "task_publish_retry": False,
        "broker_connection_retry_on_startup": True,
    }


class Notifier:
    """Rings from a thread of its own, so a slow or dead Redis never holds up a request.

    Rings of the same task that come while one is being sent become one: the worker takes whatever waits.
    """

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("leadger-notifier", set_as_current=False)
        self._celery.conf.update(broker_configuration(settings))
        # One try for each ring: what waits for a dead Redis would only wait longer, and so would the process to end.
        self._celery.conf.broker_transport_options["max_retries"] = 0
        self._pending: dict[tuple[str, tuple[str, ...]], tuple[str, list[Span]]] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def publish(self, message: Message, request_id: str) -> None:
        """Have a message sent; returns at once."""
        self.notify(message.task, *message.arguments, request_id=request_id)

    def notify(self, task: str, *arguments: str, request_id: str = "") -> None:
        """Have a task sent; returns at once."""
        with self._changed:
            _, spans = self._pending.setdefault((task, arguments), (request_id, []))
            if here := tracing.current_span():
                spans.append(here)
            self._changed.notify()

    def close(self) -> None:
        """Send what is pending and stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=6.0)
        self._celery.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._stopped)
                pending, self._pending = self._pending, {}
                stopping = self._stopped
            failures = self.failures
            for (task, arguments), (request_id, spans) in pending.items():
                self._send(task, arguments, request_id, spans)
            if stopping:
                return
            with self._changed:
                pause_s = _SHORTEST_PAUSE_S if self.failures == failures else _PAUSE_AFTER_FAILURE_S
                self._changed.wait_for(lambda: self._stopped, timeout=pause_s)

    def _send(self, task: str, arguments: tuple[str, ...], request_id: str, spans: "Sequence[Span]") -> None:
        try:
            priority = LEADS_PRIORITY if task == PROCESS_LEADS else None
            with tracing.span(f"publish {task}", "PRODUCER", origins=spans):
                headers = {REQUEST_ID_HEADER: request_id} | tracing.headers()
                self._celery.send_task(task, args=arguments, headers=headers, priority=priority, retry=False)
        except Exception as error:  # the sweeper finds what nobody rang for
            self.failures += 1
            log.warning("notification_failed", task=task, error=repr(error))
