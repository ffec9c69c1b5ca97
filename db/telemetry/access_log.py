"""The access log: a line per answer, written without structlog, which would take longer than accepting a lead takes."""

import sys
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from db.telemetry import tracing

EVENT = "request_served"

_encode = msgspec.json.Encoder().encode


def write(request_id: str, method: str, route: str, status: int, duration_ms: float, key: str) -> None:
    """Write the line as `db.telemetry.logs` would; one that cannot be written is dropped."""
    line = {
        "method": method,
        "route": route,
        "status": status,
        "duration_ms": duration_ms,
        "key": key,
        "event": EVENT,
        "request_id": request_id,
        "level": "info",
        "timestamp": f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z",
    }
    if (span := tracing.current_span()) and span.is_recording():
        line["trace_id"] = f"{span.get_span_context().trace_id:032x}"
    with suppress(OSError):
        sys.stderr.write(_encode(line).decode() + "\n")
