"""Tracing is off unless a variable turns it on; while it is off, Leadger imports nothing of OpenTelemetry.

fastapi and redis import its interface and its metrics by themselves, wherever these are installed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.access.api_keys import SCOPES
from scripts.local.first_key import first_key

_ROOT = Path(__file__).parents[2]
_LOADED = "import sys; print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
_WORKER = """
from worker import process
from worker.app import app
from worker.tasks.leads import process_leads
app.loader.import_default_modules()
app.log.setup()
process.start()
process_leads()
process.stop()
"""
_API = """
import asyncio
import httpx
from api.app import create_app

async def serve():
    app = create_app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadger") as http,
    ):
        headers = {"Authorization": "Bearer " + KEY}
        lead = {"lead_id": "1", "customer_id": "a", "product_id": "b", "lead_type": "c", "actions": [
            {"action_type": "d", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}]}
        assert (await http.post("/leads", json=lead, headers=headers)).status_code == 202
        assert (await http.get("/leads", headers=headers)).status_code == 200

asyncio.run(serve())
"""


def _run(program: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a Python program without the variables of OpenTelemetry, but with `settings`."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, env=known | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def servers(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LEADGER_HOME": str(tmp_path), "LOG_LEVEL": "WARNING"}


def _api(servers: dict[str, str]) -> str:
    return f"KEY = {first_key(servers['DATABASE_URL'], 'tests', SCOPES)!r}" + _API


def test_the_worker_imports_nothing_of_it(servers: dict[str, str]) -> None:
    loaded = _run("import redis\n" + _WORKER + _LOADED, servers).stdout
    assert loaded == _run("import redis\n" + _LOADED, servers).stdout
    assert _run(_WORKER + _LOADED, servers).stdout == "[]\n", "without Redis there is nothing at all"


def test_the_api_imports_nothing_of_it(servers: dict[str, str]) -> None:
    loaded = _run("import redis\n" + _api(servers) + _LOADED, servers).stdout
    assert loaded == _run("import redis, fastapi\n" + _LOADED, servers).stdout
    for part in ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto"):
        assert part not in loaded


def test_an_empty_variable_leaves_tracing_off(servers: dict[str, str]) -> None:
    empty = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ""}
    assert _run(_WORKER + _LOADED, servers | empty).stdout == "[]\n"


@pytest.mark.parametrize(
    "variable",
    ["OTEL_EXPORTER_OTLP_ENDPOINT", pytest.param("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", marks=pytest.mark.slow)],
)
def test_a_missing_package_is_logged_once_and_the_work_goes_on(variable: str, servers: dict[str, str]) -> None:
    missing = "import sys\nsys.modules['opentelemetry.sdk'] = None\nsys.modules['opentelemetry.exporter'] = None\n"
    wanted = servers | {variable: "http://127.0.0.1:9"}
    for program in (_WORKER, _api(servers)):
        lines = _run(missing + program, wanted).stderr.splitlines()
        said = [line for line in lines if "tracing_is_off" in line]
        assert len(said) == 1, lines
        assert "Traces are wanted, but what exports them is not installed: pip install 'leadger[tracing]'." in said[0]


def test_a_wrong_variable_turns_only_tracing_off(servers: dict[str, str]) -> None:
    mistaken = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}
    said = _run(_WORKER, servers | mistaken).stderr
    assert said.count("OpenTelemetry does not start: max_queue_size must be a positive integer.") == 1
