"""A log that keeps its events, for tests that ask what was logged."""

from collections.abc import MutableMapping
from typing import Any

import structlog


def capturing_log() -> tuple[Any, list[MutableMapping[str, Any]]]:
    """A log and the list that its events of all levels go to, whatever level an earlier test's process was set to."""
    capture = structlog.testing.LogCapture()
    every_level = structlog.make_filtering_bound_logger(0)
    return structlog.wrap_logger(None, processors=[capture], wrapper_class=every_level), capture.entries
