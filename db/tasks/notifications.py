"""Notifications: after a commit, a small Celery message by task name says that there is work.

Losing one costs a moment, never a lead: the sweeper finds work that no message came for.
"""

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery, current_app
from kombu import Exchange, Queue

from db.core.settings import Settings
from db.core.unit_of_work import Message
from db.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

PROCESS_LEADS = "leads.process"
SWEEP = "leads.sweep"
RETRY_QUARANTINE = "quarantine.retry"
RUN_TASK = "tasks.run"
RUN_SUBTASKS = "tasks.run_subtasks"
SNAPSHOT_REPORTS = "reports.snapshot"
CHECK_INVARIANTS = "ledger.check_invariants"
PROVE_BILLS = "bills.prove"
APPLY_RETENTION = "retention.delete"
REMIND = "bills.remind"
TELL_PEOPLE = "bills.tell_people"
SEND_TO_WEBHOOKS = "webhooks.send"
START_DUE_RUN = "runs.start_due"

FORMER_RETRY_QUARANTINE = "quarantine.replay"
FORMER_RUN_SUBTASKS = "tasks.help"
FORMER_APPLY_RETENTION = "retention.forget"
FORMER_NAMES = (FORMER_RETRY_QUARANTINE, FORMER_RUN_SUBTASKS, FORMER_APPLY_RETENTION)
"""What older releases still send; workers take it for one more release, and nothing sends it."""

LEADS = "leads"
BACKGROUND = "background"
LEGACY = "leadger"
"""The one queue of releases before 0.2.0; the leads workers empty it, so that an upgrade loses no message."""

_LAST = 9
"""The lowest priority on Redis."""

ROUTES: dict[str, dict[str, Any]] = {
    PROCESS_LEADS: {"queue": LEADS, "priority": _LAST},  # they pile up while leads come faster than they are decided
    SWEEP: {"queue": LEADS},
    RETRY_QUARANTINE: {"queue": LEADS},
    RUN_TASK: {"queue": BACKGROUND},
    RUN_SUBTASKS: {"queue": BACKGROUND, "priority": _LAST},  # other background tasks pass them
    SNAPSHOT_REPORTS: {"queue": BACKGROUND},
    CHECK_INVARIANTS: {"queue": BACKGROUND},
    PROVE_BILLS: {"queue": BACKGROUND, "priority": _LAST},
    APPLY_RETENTION: {"queue": BACKGROUND},
    REMIND: {"queue": BACKGROUND},
    TELL_PEOPLE: {"queue": BACKGROUND},
    SEND_TO_WEBHOOKS: {"queue": BACKGROUND, "priority": _LAST},  # other background tasks pass it
    START_DUE_RUN: {"queue": BACKGROUND},
}
"""Leads are decided by other processes than background tasks, so that neither waits for the other."""

_EXPIRES_S = {RUN_TASK: 60.0, SEND_TO_WEBHOOKS: 60.0}
"""The sweeper announces such work again and again until it is done: what nobody received by then need not pile up."""

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
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in (LEADS, BACKGROUND, LEGACY)],
        "task_routes": ROUTES,
        "task_default_queue": BACKGROUND,
        "task_publish_retry": False,
        "broker_connection_retry_on_startup": True,
    }


def publish(message: Message, request_id: str) -> None:
    """Send a message from a worker's process; one that cannot be sent is logged."""
    try:
        _send(current_app, message, request_id)
    except Exception as error:  # the sweeper finds what no message came for
        log.warning("notification_failed", task=message.task, error=repr(error))


class Notifier:
    """Sends messages from a thread of its own, so a slow or dead Redis never holds up a request.

    Equal messages that come while one is being sent become one: the worker takes whatever waits.
    """

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery("leadger-notifier", set_as_current=False)
        self._celery.conf.update(broker_configuration(settings))
        # One try for each message: what waits for a dead Redis would only wait longer, and the process could not end.
        self._celery.conf.broker_transport_options["max_retries"] = 0
        self._pending: dict[Message, tuple[str, list[Span]]] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def publish(self, message: Message, request_id: str) -> None:
        """Have a message sent; returns at once."""
        with self._changed:
            _, spans = self._pending.setdefault(message, (request_id, []))
            if span := tracing.current_span():
                spans.append(span)
            self._changed.notify()

    def announce_leads(self, request_id: str) -> None:
        """Have the workers told that leads wait, which a request has brought; returns at once."""
        self.publish(Message(PROCESS_LEADS), request_id)

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
            for message, (request_id, spans) in pending.items():
                self._send(message, request_id, spans)
            if stopping:
                return
            with self._changed:
                pause_s = _SHORTEST_PAUSE_S if self.failures == failures else _PAUSE_AFTER_FAILURE_S
                self._changed.wait_for(lambda: self._stopped, timeout=pause_s)

    def _send(self, message: Message, request_id: str, spans: "Sequence[Span]") -> None:
        try:
            with tracing.span(f"publish {message.task}", "PRODUCER", origins=spans):
                _send(self._celery, message, request_id, tracing.headers())
        except Exception as error:  # the sweeper finds what no message came for
            self.failures += 1
            log.warning("notification_failed", task=message.task, error=repr(error))


def _send(app: Celery, message: Message, request_id: str, trace: Mapping[str, str] = MappingProxyType({})) -> None:
    headers = {REQUEST_ID_HEADER: request_id, **trace}
    expires_s = _EXPIRES_S.get(message.task)
    app.send_task(message.task, args=message.arguments, headers=headers, expires=expires_s, retry=False)
