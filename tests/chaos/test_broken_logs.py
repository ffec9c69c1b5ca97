import os
import sys

import pytest
import structlog

from db.telemetry.logs import configure_logging


def test_a_log_nobody_reads_any_more_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose supervisor was killed writes into a pipe without a reader."""
    before = structlog.get_config()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        configure_logging("INFO")
        try:
            structlog.get_logger().warning("notification_failed")
        finally:
            structlog.configure(**before)
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # what is still in the buffer may leave without an error
