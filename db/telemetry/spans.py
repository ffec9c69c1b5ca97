"""OpenTelemetry, configured by its standard variables; imported only if tracing is on, see `tracing`."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

log = structlog.get_logger()

_SHUTDOWN_TIMEOUT_S = 3.0
"""How long the end of a process waits for a collector."""

_SAME_ERROR_S = 60.0
"""How long an error that was logged is not logged again."""


class Spans:
    """Makes the spans of one process and sends them by OTLP over HTTP, from a thread of its own."""

    def __init__(self, service: str) -> None:
        logger = logging.getLogger("opentelemetry")
        logger.handlers, logger.propagate = [_OpenTelemetryErrors()], False
        named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("leadger")
        self._ending = threading.Event()
        # Started now, because an interpreter that shuts down starts no more threads.
        self._end = threading.Thread(target=self._shut_down, name="last-spans", daemon=True)
        self._end.start()

    @contextmanager
    def span(
        self,
        name: str,
        kind: str,
        attributes: Mapping[str, Any] | None,
        carrier: Mapping[str, str] | None,
        origins: Sequence[Span] | None,
    ) -> Iterator[Span]:
        """See `tracing.span`. Only the name of an error is recorded, because its text may quote a person."""
        context, links = None, []
        if carrier is not None:
            context = propagate.extract(carrier, Context())
        elif origins:
            first = next(filter(_is_sampled, origins), origins[0])
            context = trace.set_span_in_context(first, Context())
            links = [Link(each.get_span_context()) for each in origins if each is not first and _is_sampled(each)]
        with self._tracer.start_as_current_span(
            name, context, SpanKind[kind], attributes, links, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                self.mark_failed(type(error).__qualname__)
                raise

    def current_span(self) -> Span | None:
        """The current span, recorded or not."""
        span = trace.get_current_span()
        return span if span.get_span_context().is_valid else None

    def mark_failed(self, error_type: str) -> None:
        """Set the current span to the status error."""
        span = trace.get_current_span()
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)

    def headers(self) -> dict[str, str]:
        """The headers that carry the current trace to another process."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    def close(self) -> None:
        """Send the remaining spans; wait some seconds for the collector, no longer."""
        self._ending.set()
        self._end.join(_SHUTDOWN_TIMEOUT_S)

    def _shut_down(self) -> None:
        self._ending.wait()
        self._provider.shutdown()


def _is_sampled(span: Span) -> bool:
    """Whether a span is or was sent; `is_recording` is false for one that has ended."""
    return span.get_span_context().trace_flags.sampled


class _OpenTelemetryErrors(logging.Handler):
    """Logs the warnings and errors of OpenTelemetry, each of them once a minute.

    Only the names of exceptions are logged, because their texts may hold the endpoint's URL with a secret in it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log it, unless it was logged less than a minute ago."""
        now = time.monotonic()
        if now < self._quiet_until.get(record.msg, now):
            return
        self._quiet_until[record.msg] = now + _SAME_ERROR_S
        values = record.args if isinstance(record.args, tuple) else ()
        message = record.msg % tuple(type(each).__name__ if isinstance(each, Exception) else each for each in values)
        log.warning("tracing_error", message=message)
