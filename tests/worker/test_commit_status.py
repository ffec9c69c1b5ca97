"""GitHub is told how a run ended, by an HTTP server that stands for it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.runs import records
from db.runs.records import Asked
from db.tasks import records as tasks
from tests.world import World
from worker.runtime import create_runtime
from worker.task_kinds import RUNNER

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class GitHub(HTTPServer):
    """Answers each status with the next of `answers`, and keeps what was asked."""

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = list(answers), list[tuple[str, str, dict[str, Any]]]()


class _Handler(BaseHTTPRequestHandler):
    server: GitHub

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.answers.pop(0))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub(503, 201) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
async def test_the_commit_has_the_status_of_its_run_also_if_github_was_away(
    github: GitHub, settings: Settings, world: World
) -> None:
    told = {
        "github_api_token": "token",
        "github_repository": "demo/repo",
        "github_api_url": f"http://127.0.0.1:{github.server_port}",
    }
    runtime = create_runtime(settings.model_copy(update=told))
    async with runtime.unit_of_work() as uow:
        run_id = await records.start(uow, Asked("github", period=202404, dry_run=True, commit=COMMIT))
    async with transaction(runtime.engine) as connection:
        await RUNNER.run(runtime, await records.task_of(connection, run_id))
        task_id = await connection.fetchval("SELECT id FROM tasks WHERE kind = 'report_to_github'")
    assert not await RUNNER.run(runtime, task_id)
    assert await RUNNER.run(runtime, task_id)
    async with transaction(runtime.engine) as connection:
        task = await tasks.read(connection, task_id)
    await runtime.engine.dispose()
    assert task
    assert task.result == {"told": True}
    path, authorization, status = github.asked[-1]
    assert (path, authorization) == (f"/repos/demo/repo/statuses/{COMMIT}", "Bearer token")
    assert (status["state"], status["context"]) == ("success", "leadger/billing")
    assert len(github.asked) == 2
