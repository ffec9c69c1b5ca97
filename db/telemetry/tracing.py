"""Traces: from a request over its commit and its message to the SQL of the batch that decides its leads.

They are off, and OpenTelemetry is not imported for them, unless a standard variable names where to send them. All of
this may be called when they are off, and then does nothing.
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


def are_wanted() -> bool:
    """Whether a variable says where traces go."""
    return any(map(os.environ.get, _ENDPOINTS))


def are_on() -> bool:
    """Whether this process makes any."""
    return _spans is not None


def start(service: str) -> None:
    """Trace this process, which must not fork any more; if that is not possible it says why and goes on without."""
    global _spans  # one per process is the point of this module
    if _spans or not are_wanted():
        return
    try:
        from db.telemetry.spans import Spans

        _spans = Spans(service)
    except ImportError as error:
        advice = "Traces are wanted, but what exports them is not installed: pip install 'leadger[tracing]'."
        log.warning("tracing_is_off", reason=advice, missing=error.name)
    except Exception as error:  # a mistake in a variable costs the traces, not the service
        log.warning("tracing_is_off", reason=f"OpenTelemetry does not start: {error}")


def stop() -> None:
    """Send what was not sent yet, if that goes quickly, and end."""
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
    serves: "Iterable[Span | None] | None" = None,
) -> "AbstractContextManager[Span | None]":
    """A span under the current one, or under what the headers `carrier` name; if they name none, it begins a trace.

    One that does the work of several others `serves` them: it goes under the first one and links to the rest; without
    any, it is none.
    """
    if _spans is None:
        return _NOTHING
    served = None if serves is None else [each for each in serves if each]
    return _NOTHING if served == [] else _spans.span(name, kind, attributes, carrier, served)


def here() -> "Span | None":
    """The current span, recorded or not."""
    return _spans.here() if _spans else None


def note(attributes: Mapping[str, Any]) -> None:
    """Say more about the current span."""
    if current := here():
        current.set_attributes(attributes)


def fail(error_type: str) -> None:
    """Mark the current span as one that went wrong."""
    if _spans:
        _spans.fail(error_type)


def headers() -> dict[str, str]:
    """What takes the current trace to another process."""
    return _spans.headers() if _spans else {}
