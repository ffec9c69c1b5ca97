"""Traces: from a request over its commit and its message to the SQL of the batch that decides its leads.

Tracing is off, and OpenTelemetry is not imported, unless a standard variable names where to send traces. Every
function may be called while it is off, and then does nothing.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from db.telemetry.spans import Spans

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: AbstractContextManager[None] = nullcontext()
_spans: "Spans | None" = None


def is_configured() -> bool:
    """Whether a variable says where traces go."""
    return any(map(os.environ.get, _ENDPOINTS))


def is_on() -> bool:
    """Whether this process records spans."""
    return _spans is not None


def start(service: str) -> None:
    """Trace this process, which must not fork afterwards. If that fails, the reason is logged and tracing stays off."""
    global _spans  # one per process
    if _spans or not is_configured():
        return
    try:
        from db.telemetry.spans import Spans

        _spans = Spans(service)
    except ImportError as error:
        advice = "Traces are wanted, but what exports them is not installed: pip install 'leadger[tracing]'."
        log.warning("tracing_is_off", reason=advice, missing=error.name)
    except Exception as error:  # a wrong variable must not stop the service
        log.warning("tracing_is_off", reason=f"OpenTelemetry does not start: {error}")


def stop() -> None:
    """Send the remaining spans within some seconds, and turn tracing off."""
    global _spans
    if _spans:
        _spans.close()
        _spans = None


def span(
    name: str,
    kind: Kind = "INTERNAL",
    attributes: Mapping[str, Any] | None = None,
    *,
    carrier: Mapping[str, str] | None = None,
    origins: "Iterable[Span | None] | None" = None,
) -> "AbstractContextManager[Span | None]":
    """A span below the current one.

    With the headers `carrier`, its parent is the span that they name, or it begins a trace if they name none. With
    `origins`, the spans that asked for its work, its parent is the first of them and it links to the others; if there
    are none, it is not recorded.
    """
    if _spans is None:
        return _NOTHING
    recorded = None if origins is None else [each for each in origins if each]
    return _NOTHING if recorded == [] else _spans.span(name, kind, attributes, carrier, recorded)


def current_span() -> "Span | None":
    """The current span, recorded or not."""
    return _spans.current_span() if _spans else None


def set_attributes(attributes: Mapping[str, Any]) -> None:
    """Add attributes to the current span."""
    if current := current_span():
        current.set_attributes(attributes)


def mark_failed(error_type: str) -> None:
    """Set the current span to the status error."""
    if _spans:
        _spans.mark_failed(error_type)


def headers() -> dict[str, str]:
    """The headers that carry the current trace to another process."""
    return _spans.headers() if _spans else {}
