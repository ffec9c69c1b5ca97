"""Traced processes start and stop like others: they send their spans if they can and never wait for long."""

import time
from pathlib import Path

import pytest

from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.processes.process import Command
from tests.stack import running_stack
from tests.tracing.collector import Collector, Span
from tests.tracing.scenario import client, make_masters, send, wait_until_done

_QUIET = {"LEADGER_SWEEP_INTERVAL_S": "3600"}
_LATE = {
    "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100000",  # however often somebody asks, which are spans, too
}


def _three_tasks(collector: Collector) -> list[Span]:
    tasks = collector.named("leads.process")
    return tasks if len(tasks) == 3 else []


@pytest.mark.slow
def test_a_child_that_is_replaced_sends_its_spans_first(
    database_url: str, redis_url: str, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_everybody = commands.worker

    def of_one_task(env: dict[str, str]) -> Command:
        command = of_everybody(env)
        return Command((*command.argv, "--max-tasks-per-child", "1"), command.env, command.cwd, grace_s=30)

    monkeypatch.setattr(commands, "worker", of_one_task)
    env = collector.env | _QUIET | _LATE
    with running_stack(database_url, redis_url, tmp_path / "home", **env) as stack, client(stack) as http:
        make_masters(http)
        for number in range(3):
            wait_until_done(http, send(http, f"request-{number}"))
        tasks = collector.wait_for(_three_tasks)
        assert {task.attributes["leadger.request_id"] for task in tasks} == {f"request-{number}" for number in range(3)}
        assert len({task.instance for task in tasks}) == 3, "every child is one of its own"
        assert {span.service for span in collector.spans} == {"leadger-worker"}, "nobody else has ended yet"


@pytest.mark.slow
@pytest.mark.parametrize("illness", ["gone", "silent"])
def test_a_faulty_collector_delays_nothing(
    illness: str, database_url: str, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    collector.silent = illness == "silent"
    env = collector.env | _QUIET | {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    if illness == "gone":
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://user:unverkennbares@127.0.0.1:{free_port()}"
    home = tmp_path / "home"
    with running_stack(database_url, redis_url, home, **env) as stack, client(stack) as http:
        make_masters(http)
        took_s = []
        for number in range(100):
            began = time.monotonic()
            url = send(http, f"request-{number}")
            took_s.append(time.monotonic() - began)
        wait_until_done(http, url)
        # Whoever waited for the collector would wait for its timeout of ten seconds.
        assert max(took_s) < 3, took_s
        ending = time.monotonic()
    # Three processes end one after the other; each waits for three seconds and has something to do itself.
    assert time.monotonic() - ending < 20
    assert not collector.spans
    for name in ("api", "worker"):
        log = (home / f"{name}.log").read_text()
        assert 1 <= log.count("tracing_error") <= 12, log
        assert "Traceback" not in log
        assert "unverkennbares" not in log
