"""The figures that CloudWatch reads out of the log are in it, as the metric filters of Terraform expect them."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.core.settings import Settings
from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.processes.process import Process
from tests.api.world import lead
from tests.stack import Stack, wait_until_ready

_ROOT = Path(__file__).parents[2]
_FILTERS = (_ROOT / "terraform/modules/observability/log_metrics.tf").read_text()


def _filters() -> dict[str, tuple[str, str]]:
    """By metric: the event that its filter looks for, and where its value comes from."""
    found = re.findall(
        r'^ +(\w+) += \{ .*pattern = "\{ \$\.event = \\"(\w+)\\" \}", value = "([^"]+)"', _FILTERS, re.MULTILINE
    )
    return {name: (event, value) for name, event, value in found}


def _events(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are JSON, as CloudWatch takes them."""
    lines = (line for line in log.read_text().splitlines() if line.startswith("{"))
    return [json.loads(line) for line in lines]


async def test_ready_logs_how_long_leads_have_waited(
    settings: Settings, admin_key: str, tmp_path: Path, redis_url: str
) -> None:
    port, log = free_port(), tmp_path / "api.log"
    env = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": redis_url,
        "LEADGER_HOME": str(tmp_path),
        "LOG_LEVEL": "INFO",
    }
    with log.open("wb") as output:
        process = Process(commands.api(port, env), output)
    try:
        stack = Stack(f"http://127.0.0.1:{port}", admin_key, settings.database_url, redis_url, tmp_path)
        wait_until_ready(stack)
        headers = {"Authorization": f"Bearer {admin_key}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, trust_env=False) as client:
            assert (await client.post("/leads", json=[lead("1"), lead("2")])).status_code == 202
            assert (await client.get("/ready")).status_code == 200
    finally:
        process.stop()
        process.wait()
    event, value = _filters()["InboxAge"]
    measured = [each for each in _events(log) if each["event"] == event]
    assert measured[0] | {"timestamp": "", "request_id": ""} == {
        "event": "inbox_measured",
        "oldest_s": 0.0,
        "waiting": 0,
        "paused_s": 0.0,
        "level": "info",
        "timestamp": "",
        "request_id": "",
    }
    assert measured[-1]["waiting"] == 2
    assert 0 < measured[-1][value.removeprefix("$.")] < 60


@pytest.mark.parametrize("metric", ["InboxAge", "PausedFor", "PoisonLeads", "InvariantsViolated"])
def test_every_event_that_a_filter_waits_for_is_logged_somewhere(metric: str) -> None:
    event, value = _filters()[metric]
    logged = [
        {keyword.arg for keyword in node.keywords}
        for folder in ("api", "db", "worker")
        for path in (_ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).startswith("log.")
        if isinstance(node.args[0], ast.Constant) and node.args[0].value == event
    ]
    assert logged
    for fields in logged:
        assert value == "1" or value.removeprefix("$.") in fields
