"""Structured logs: one constant event with ids as fields, the correlation id bound from request to task."""

import logging
import sys

import structlog

_SECRET_FIELDS = {"api_key", "authorization", "password", "database_url", "redis_url"}


def configure_logging(level: str) -> None:
    """Write JSON lines to standard error, or readable ones if a person is looking."""
    renderer = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _without_secrets(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: "…" if name in _SECRET_FIELDS else value for name, value in event.items()}
