"""OpenTelemetry, set up by its standard variables; imported only where traces are wanted, see `tracing`."""

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

_PATIENCE_S = 3.0
"""How long the end of a process waits for a collector."""

_SAME_COMPLAINT_S = 60.0


class Spans:
    """Makes the spans of one process and sends them by OTLP over HTTP, from a thread of its own."""

    def __init__(self, service: str) -> None:
        logger = logging.getLogger("opentelemetry")
        logger.handlers, logger.propagate = [_Complaints()], False
        named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("leadger")
        self._ending = threading.Event()
        # Started now, because a process that is about to end may not start a thread any more.
        self._end = threading.Thread(target=self._shut_down, name="last-spans", daemon=True)
        self._end.start()

    @contextmanager
    def span(
        self,
        name: str,
        kind: str,
        attributes: Mapping[str, Any] | None,
        carrier: Mapping[str, str] | None,
        served: Sequence[Span] | None,
    ) -> Iterator[Span]:
        """What `tracing.span` says. Of an error only its name is kept: what Postgres says may quote a person."""
        context, links = None, []
        if carrier is not None:
            context = propagate.extract(carrier, Context())
        elif served:
            first = next(filter(_is_sampled, served), served[0])
            context = trace.set_span_in_context(first, Context())
            links = [Link(each.get_span_context()) for each in served if each is not first and _is_sampled(each)]
        with self._tracer.start_as_current_span(
            name, context, SpanKind[kind], attributes, links, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                self.fail(type(error).__qualname__)
                raise

    def here(self) -> Span | None:
        """The current span, recorded or not."""
        span = trace.get_current_span()
        return span if span.get_span_context().is_valid else None

    def fail(self, error_type: str) -> None:
        """Mark the current span as one that went wrong."""
        span = trace.get_current_span()
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)

    def headers(self) -> dict[str, str]:
        """What takes the current trace to another process."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    def close(self) -> None:
        """Send the rest; a collector that is gone or silent is not waited for."""
        self._ending.set()
        self._end.join(_PATIENCE_S)

    def _shut_down(self) -> None:
        self._ending.wait()
        self._provider.shutdown()


def _is_sampled(span: Span) -> bool:
    """Whether it is sent, or was: a span that has ended is not recording any more."""
    return span.get_span_context().trace_flags.sampled


class _Complaints(logging.Handler):
    """What OpenTelemetry has to say becomes a line of our log, the same thing once a minute.

    Errors are named and not quoted, because they may hold the address with whatever secret is in it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log it, unless it was said a moment ago."""
        now = time.monotonic()
        if now < self._quiet_until.get(record.msg, now):
            return
        self._quiet_until[record.msg] = now + _SAME_COMPLAINT_S
        values = record.args if isinstance(record.args, tuple) else ()
        said = record.msg % tuple(type(each).__name__ if isinstance(each, Exception) else each for each in values)
        log.warning("tracing_complains", said=said)
