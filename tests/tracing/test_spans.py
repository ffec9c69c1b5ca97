"""Spans as they are made in one process."""

import logging
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import structlog
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import autocommit, create_engine
from db.core.settings import Settings
from db.telemetry import spans, tracing
from db.telemetry.logs import configure_logging
from db.telemetry.traced_connection import connection_class, span_name
from tests.logs import capturing_log
from tests.tracing.collector import Collector


@pytest.fixture
async def engine(traced: Collector, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine whose statements are traced, with an open connection."""
    engine = create_engine(settings, "leadger-test", connection_class=connection_class())
    async with autocommit(engine) as connection:
        await connection.execute("SELECT 1")
    yield engine
    await engine.dispose()


async def test_a_statement_is_a_span_without_its_values(traced: Collector, engine: AsyncEngine) -> None:
    with tracing.span("work"):
        async with autocommit(engine) as connection:
            await connection.fetch("SELECT id FROM customers WHERE email = $1", "ann@example.com")
    tracing.stop()
    statement, work = traced.spans
    assert (statement.name, statement.parent, statement.failed) == ("SELECT customers", work.id, False)
    assert statement.attributes == {
        "db.system.name": "postgresql",
        "db.query.text": "SELECT id FROM customers WHERE email = $1",
    }
    assert b"ann@example.com" not in traced.raw


@pytest.mark.usefixtures("engine")
async def test_a_statement_outside_a_trace_makes_no_span(traced: Collector) -> None:
    tracing.stop()
    assert traced.spans == []


async def test_an_error_is_named_and_not_quoted(traced: Collector, engine: AsyncEngine) -> None:
    """Postgres quotes the person in the detail of its message."""
    insert = "INSERT INTO customers (id, external_id, name, email) VALUES (gen_random_uuid(), $1, $2, $3)"
    with tracing.span("work"):
        async with autocommit(engine) as connection:
            await connection.execute(insert, "a", "Ann", "ann@example.com")
            with pytest.raises(asyncpg.UniqueViolationError, match=r"ann@example\.com"):
                await connection.execute(insert, "b", "Ann", "ann@example.com")
    tracing.stop()
    (failed,) = [span for span in traced.spans if span.failed]
    assert (failed.name, failed.attributes["error.type"]) == ("INSERT customers", "UniqueViolationError")
    assert sum(span.events for span in traced.spans) == 0
    assert b"ann@example.com" not in traced.raw


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("BEGIN;", "BEGIN"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "BEGIN"),
        ("\n  SELECT id FROM inbox WHERE x IN (SELECT y FROM leads)", "SELECT inbox"),
        ("SELECT a FROM unnest($1::int[]) AS a, LATERAL (SELECT b FROM inbox) c", "SELECT inbox"),
        ("SELECT a FROM generate_series(1, 2) AS a", "SELECT"),
        ("INSERT INTO winners (a) VALUES ($1)", "INSERT winners"),
        ("UPDATE inbox SET a = b.a FROM unnest($1::int[]) AS b (a)", "UPDATE inbox"),
        ("WITH gone AS (DELETE FROM inbox RETURNING id) INSERT INTO leads SELECT id FROM gone", "WITH inbox"),
        ("COPY actions", "COPY actions"),
        ("SET LOCAL synchronous_commit = off", "SET"),
        ("", "statement"),
    ],
)
def test_a_statement_is_named_after_its_first_table(statement: str, summary: str) -> None:
    assert span_name(statement) == summary


def _other(number: int, sampled: bool = True) -> NonRecordingSpan:
    """A span in another trace."""
    return NonRecordingSpan(SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(sampled)))


def _names(traced: Collector) -> list[str]:
    tracing.stop()
    return [span.name for span in traced.spans]


def test_a_span_with_several_origins_has_one_as_parent_and_links_to_the_others(traced: Collector) -> None:
    first, second, third = _other(1), _other(2), _other(3)
    with tracing.span("together", origins=[None, first, second, third]):
        pass
    tracing.stop()
    (together,) = traced.spans
    assert (together.trace, together.parent) == (f"{1:032x}", f"{1:016x}")
    assert together.links == ((f"{2:032x}", f"{2:016x}"), (f"{3:032x}", f"{3:016x}"))


def test_a_span_with_several_origins_is_sampled_if_one_of_them_is(traced: Collector) -> None:
    unsampled, sampled = _other(1, sampled=False), _other(2)
    with tracing.span("together", origins=[unsampled, sampled]):
        pass
    tracing.stop()
    (together,) = traced.spans
    assert (together.parent, together.links) == (f"{2:016x}", ())


def test_a_span_without_origins_is_not_recorded(traced: Collector) -> None:
    with tracing.span("together", origins=[None]) as none:
        assert none is None
        assert tracing.headers() == {}
    assert _names(traced) == []


def test_the_decision_not_to_sample_is_passed_on(traced: Collector) -> None:
    with tracing.span("together", origins=[_other(1, sampled=False)]):
        assert tracing.headers()["traceparent"].endswith("-00")
    assert _names(traced) == []


def test_the_service_is_named_by_the_standard_variables(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in collector.env.items():
        monkeypatch.setenv(name, value)
    for variable, value in (
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ours,region=eu"),
        ("OTEL_SERVICE_NAME", "mine"),
    ):
        monkeypatch.setenv(variable, value)
        tracing.start("leadger-test")
        with tracing.span("work"):
            pass
        tracing.stop()
    assert [span.service for span in collector.spans] == ["leadger-test", "ours", "mine"]


@pytest.mark.parametrize(
    ("sampler", "argument", "fewest", "most"),
    [("always_off", "", 0, 0), ("parentbased_traceidratio", "0.5", 50, 150), ("always_on", "", 200, 200)],
)
def test_samplers_are_the_standard_ones(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, sampler: str, argument: str, fewest: int, most: int
) -> None:
    environment = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    for name, value in (collector.env | environment).items():
        monkeypatch.setenv(name, value)
    tracing.start("leadger-test")
    for _ in range(200):
        with tracing.span("work"):
            pass
    tracing.stop()
    assert fewest <= len(collector.spans) <= most


def test_a_silent_collector_delays_nothing(traced: Collector) -> None:
    traced.silent = True
    began = time.monotonic()
    for _ in range(10_000):
        with tracing.span("work"):
            pass
    made = time.monotonic()
    assert made - began < 5
    tracing.stop()
    assert 2.5 < time.monotonic() - made < 5
    assert traced.requests


def test_errors_of_opentelemetry_are_log_lines_without_secrets(
    traced: Collector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever level another test has set for this process."""
    log, lines = capturing_log()
    monkeypatch.setattr(spans, "log", log)
    logger = logging.getLogger("opentelemetry.exporter")
    logger.setLevel(logging.WARNING)
    for _ in range(3):
        logger.warning("no %s at %d", OSError("https://key@collector"), 7)
    logger.error("twice %s", "said")
    assert [line["message"] for line in lines] == ["no OSError at 7", "twice said"]
    assert capsys.readouterr().err == ""


def test_a_log_line_names_its_trace(traced: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    defaults = structlog.get_config()
    configure_logging("INFO")
    try:
        log = structlog.get_logger()
        with tracing.span("work"):
            log.info("inside")
        log.info("outside")
    finally:
        structlog.configure(**defaults)
    tracing.stop()
    inside, outside = capsys.readouterr().err.splitlines()
    assert f'"trace_id": "{traced.spans[0].trace}"' in inside
    assert "trace_id" not in outside
