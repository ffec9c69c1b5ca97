"""Structured logs: one constant event with ids as fields, the correlation id bound from request to task.

What libraries log by `logging` is written the same way: one JSON object per line.
"""

import logging
import sys
from contextlib import suppress

import structlog

from db.telemetry import tracing

_SECRET_FIELDS = {"api_key", "authorization", "password", "database_url", "redis_url"}
# Libraries log one level above ours, because some of them write a line for every message.
_LIBRARIES_LEVELS = {"DEBUG": "INFO", "INFO": "WARNING"}


def configure_logging(level: str) -> None:
    """Write JSON lines to standard error, or readable ones if that is a terminal."""
    structlog.configure(
        processors=_processors(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _Printer(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=_LIBRARIES_LEVELS.get(level, level), handlers=[_FromLibraries()], force=True)


def library_formatter() -> logging.Formatter:
    """Formats a record of a library like our own lines; `logger` names the library."""
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=[structlog.stdlib.add_logger_name, meta, *_processors()])


def _processors() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
        _without_secrets,
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(sort_keys=False),
    ]


class _FromLibraries(logging.Handler):
    """Writes the records of `logging`."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(library_formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be formatted raises nothing in the library."""
        try:
            _Printer(sys.stderr).msg(self.format(record))
        except Exception:
            self.handleError(record)


class _Printer(structlog.PrintLogger):
    """Drops a line that cannot be written, so that a full disk or a closed pipe fails no request."""

    def msg(self, message: str) -> None:
        """Write one line if possible."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _with_trace(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if (span := tracing.current_span()) and span.is_recording():
        event["trace_id"] = f"{span.get_span_context().trace_id:032x}"
    return event


def _without_secrets(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: "…" if name in _SECRET_FIELDS else value for name, value in event.items()}
