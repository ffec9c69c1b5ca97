"""Tasks as spans: in the trace of the message, and what they send in theirs."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from db.tasks.notifications import REQUEST_ID_HEADER
from db.telemetry import tracing
from tests.tracing.collector import Collector
from worker.traced import TracedCelery, TracedTask

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def app(traced: Collector) -> Iterator[Celery]:
    app = TracedCelery("tests", broker="memory://", task_cls=TracedTask, set_as_current=False)

    @app.task(name="first", shared=False)
    def first(then: str) -> None:
        app.send_task(then, headers={"ours": "kept"})

    @app.task(name="fails", shared=False)
    def fails() -> None:
        raise ValueError("ann@example.com")

    yield app
    app.close()


def _run(app: Celery, task: str, *args: Any, **headers: str) -> None:
    app.tasks[task].apply(args, headers=headers)


def _sent(app: Celery) -> dict[str, Any]:
    """The headers of the one message that was sent."""
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(block=False)
        message.ack()
        headers: dict[str, Any] = message.headers
        return headers


def test_a_task_is_in_the_trace_of_its_message(app: Celery, traced: Collector) -> None:
    _run(app, "first", "second", traceparent=_CALLER, **{REQUEST_ID_HEADER: "request-1"})
    headers = _sent(app)
    tracing.stop()
    publish, task = traced.spans
    assert (task.name, f"00-{task.trace}-{task.parent}-01") == ("first", _CALLER)
    assert task.attributes["leadger.request_id"] == "request-1"
    assert task.attributes["messaging.message.id"]
    assert (publish.name, publish.trace, publish.parent) == ("publish second", task.trace, task.id)
    assert (headers["traceparent"], headers["ours"]) == (f"00-{task.trace}-{publish.id}-01", "kept")


def test_a_task_without_a_trace_begins_one(app: Celery, traced: Collector) -> None:
    _run(app, "first", "second")
    headers = _sent(app)
    tracing.stop()
    publish, task = traced.spans
    assert (task.parent, publish.parent) == ("", task.id)
    assert headers["traceparent"].startswith(f"00-{task.trace}-{publish.id}-")


def test_a_task_that_sends_itself_again_begins_a_new_trace(app: Celery, traced: Collector) -> None:
    _run(app, "first", "first", traceparent=_CALLER)
    headers = _sent(app)
    tracing.stop()
    publish, task = traced.spans
    assert (publish.name, publish.parent) == ("publish first", "")
    assert publish.trace != task.trace
    assert headers["traceparent"].startswith(f"00-{publish.trace}-{publish.id}-")


def test_a_task_that_fails_is_a_span_that_failed(app: Celery, traced: Collector) -> None:
    _run(app, "fails", traceparent=_CALLER)
    tracing.stop()
    (task,) = traced.spans
    assert (task.failed, task.attributes["error.type"]) == (True, "ValueError")
    assert b"ann@example.com" not in traced.raw
