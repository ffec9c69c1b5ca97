"""A collector, and a Leadger that sends its traces there."""

from collections.abc import Iterator

import pytest

from db.telemetry import tracing
from tests.tracing.collector import Collector, collecting


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Tracing on in this process; `tracing.stop()` sends the spans."""
    for name, value in collector.env.items():
        monkeypatch.setenv(name, value)
    tracing.start("leadger-test")
    yield collector
    tracing.stop()
    assert not tracing.is_on()
