"""The log of a container, as `compose/start` makes it: one JSON object a line, whoever speaks."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from celery import Celery

from db.core.migrate import ROOT
from db.core.settings import Settings
from db.tasks.notifications import broker_configuration
from scripts.local.embedded.ports import free_port
from scripts.local.processes.process import Command, Process
from tests.scripts.processes import wait_until

_START_S = 60.0
_FILTERS = (ROOT / "terraform/modules/observability/log_metrics.tf").read_text()
_ERRORS = r"""pattern = "{ $.level = \"error\" || $.level = \"critical\" }","""

Line = dict[str, Any]


@dataclass
class Container:
    """A process of the image, without the image."""

    process: Process
    log: Path
    port: int

    @property
    def lines(self) -> list[Line]:
        """What it has logged; fails if anything is no JSON object."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        assert all(isinstance(line, dict) and line["timestamp"] for line in lines)
        return lines

    def wait_for(self, is_it: Callable[[Line], bool]) -> None:
        wait_until(lambda: any(map(is_it, self.lines)), "the line is logged", _START_S)

    def stop(self) -> int:
        self.process.stop()
        return self.process.wait()


@contextmanager
def _container(settings: Settings, role: str, *options: str, **variables: str) -> Iterator[Container]:
    home = Path(settings.home)
    home.mkdir(exist_ok=True)
    port, log = free_port(), home / f"{role}.log"
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "LEADGER_HOME": str(home),
        "GRANIAN_HOST": "127.0.0.1",
        "GRANIAN_PORT": str(port),
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PORT": str(port),
        "FLOWER_BASIC_AUTH": "leadger:secret",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser",  # as nobody does in the image
    }
    with log.open("wb") as output:
        command = Command(("sh", "compose/start", role, *options), env | variables, ROOT, grace_s=20)
        process = Process(command, output)
    try:
        yield Container(process, log, port)
    finally:
        process.stop()
        process.wait()


def _is_error(line: Line) -> bool:
    """Whether the metric filter of Terraform counts a line."""
    assert _ERRORS in _FILTERS
    return line.get("level") in ("error", "critical")


def _send(settings: Settings, task: str, *args: object) -> str:
    app = Celery("tests", set_as_current=False)
    app.conf.update(broker_configuration(settings))
    with app.connection_for_write() as connection:
        return str(app.send_task(task, args, connection=connection).id)


async def test_a_task_that_fails_is_one_line_and_counted(settings: Settings, client: httpx.AsyncClient) -> None:
    """Failed before: Celery wrote plain text, which no filter counts and no search by field finds."""
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("ALTER TABLE report_changes RENAME TO report_changes_put_aside")
    with _container(settings, "background") as worker:
        task_id = _send(settings, "reports.snapshot")
        worker.wait_for(_is_error)
        await connection.execute("ALTER TABLE report_changes_put_aside RENAME TO report_changes")
        _send(settings, "reports.snapshot")
        worker.wait_for(lambda line: line["event"] == "reports_snapshot")
        assert worker.stop() == 0
        [failed] = [line for line in worker.lines if line["level"] != "info"]
    await connection.close()
    exception = failed.pop("exception")
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith('UndefinedTableError: relation "report_changes" does not exist')
    assert failed | {"timestamp": ""} == {
        "event": "task_failed",
        "task": "reports.snapshot",
        "task_id": task_id,
        "request_id": "",
        "level": "error",
        "timestamp": "",
    }
    assert _is_error(failed)
    assert "\nleadger_task_failures_total 1.0\n" in (await client.get("/metrics")).text


def test_what_celery_says_of_a_worker_is_json_too(settings: Settings) -> None:
    with _container(settings, "background", "--concurrency", "1", LOG_LEVEL="DEBUG") as worker:
        worker.wait_for(lambda line: line["event"].endswith(" ready."))
        _send(settings, "nobody.knows.it")
        worker.wait_for(_is_error)
        [unknown] = filter(_is_error, worker.lines)
        assert unknown["logger"] == "celery.worker.consumer.consumer"
        assert "nobody.knows.it" in unknown["event"]
        [child] = _children_of_main(worker.process.pid)
        os.kill(child, signal.SIGKILL)
        worker.wait_for(lambda line: _is_error(line) and "exited with 'signal 9 (SIGKILL)'" in line["event"])


@pytest.mark.slow
def test_what_beat_says_is_json(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    with _container(unreachable, "beat") as beat:
        beat.wait_for(lambda line: line["event"] == "beat_lease_unavailable")
        assert beat.stop() == 0
        assert {line["event"] for line in beat.lines} == {"notification_failed", "beat_lease_unavailable"}


@pytest.mark.slow
def test_what_flower_says_is_json_and_can_be_counted(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    with _container(unreachable, "flower") as flower:
        flower.wait_for(_is_error)
        assert all(line["logger"] for line in flower.lines)


def test_what_the_server_of_the_api_says_is_json(settings: Settings) -> None:
    with _container(settings, "api") as api:
        wait_until(lambda: len(_started(api)) == 1, "it is up", _START_S)
        [child] = _children_of_main(api.process.pid)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: len(_started(api)) == 2, "it is replaced", _START_S)
        assert [line["event"] for line in api.lines if _is_error(line)] == ["Unexpected exit from worker-1"]
        assert api.stop() == 0
        assert api.lines[-1]["logger"] == "_granian"


def _started(api: Container) -> list[Line]:
    return [line for line in api.lines if line["event"] == "Started worker-1"]


def _children_of_main(keeper: int) -> list[int]:
    """The children of the process that a keeper watches."""
    [main] = _children(keeper)
    wait_until(lambda: bool(_children(main)), "it has children", _START_S)
    return _children(main)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
