"""A real Prometheus beside a running Leadger, with the configuration and the rules that compose gives it."""

import math
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from scripts.local.embedded.ports import free_port
from scripts.local.processes.process import Command, Process
from tests.compose.observability import FOLDER
from tests.stack import Stack

PROGRAM = shutil.which("prometheus")
_START_S = 30.0


@dataclass(frozen=True)
class Prometheus:
    """Where it is."""

    url: str

    def ask(self, what: str, **params: str) -> Any:
        """What its API answers; it must not refuse the question."""
        told = httpx.get(f"{self.url}/api/v1/{what}", params=params, timeout=10, trust_env=False).json()
        assert told["status"] == "success", (params, told)
        return told["data"]

    def lines(self, expression: str) -> list[dict[str, str]]:
        """The labels of each line that Grafana would draw at this moment; what is no number is not drawn."""
        now = str(time.time())
        told = self.ask("query_range", query=expression, start=now, end=now, step="1")
        return [line["metric"] for line in told["result"] if math.isfinite(float(line["values"][-1][1]))]


@contextmanager
def running_prometheus(stack: Stack, key: str, folder: Path) -> Iterator[Prometheus]:
    """Start it on files that differ from compose's in where Leadger is, where the key is, and in their haste."""
    assert PROGRAM is not None
    _write_files(stack, key, folder)
    port = free_port()
    files = ("--config.file", str(folder / "prometheus.yml"), "--storage.tsdb.path", str(folder / "data"))
    command = Command((PROGRAM, *files, "--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn"))
    with (folder / "log").open("wb") as output:
        process = Process(command, output)
    try:
        _wait_until_ready(process, port, folder / "log")
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.stop()
        process.wait()


def _write_files(stack: Stack, key: str, folder: Path) -> None:
    (folder / "metrics_key").write_text(key)
    config = (FOLDER / "prometheus.yml").read_text()
    for theirs, ours in {
        "api:8000": urlsplit(stack.url).netloc,
        "/run/secrets/metrics_key": str(folder / "metrics_key"),
        "15s": "1s",
    }.items():
        assert theirs in config, theirs
        config = config.replace(theirs, ours)
    (folder / "prometheus.yml").write_text(config)
    alerts, hastened = re.subn(r"for: \d+m", "for: 1s", (FOLDER / "alerts.yml").read_text())
    assert hastened
    (folder / "alerts.yml").write_text(alerts)


def _wait_until_ready(process: Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        assert process.running, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)
