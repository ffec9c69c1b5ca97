"""The emulator as another process, and AWS clients that speak to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parent.parent.parent
REGION = "us-east-1"


@dataclass(frozen=True)
class Emulator:
    """AWS on this machine."""

    url: str
    session: Any

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.url, region_name=REGION)


@contextmanager
def running_emulator(recording: Path | None = None) -> Iterator[Emulator]:
    """moto's server with its gaps filled, which ends with this process. What it is asked goes into `recording`."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    pytest.importorskip("moto", reason="moto is not installed")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)}
    if recording:
        environment |= {"MOTO_ENABLE_RECORDING": "yes", "MOTO_RECORDER_FILEPATH": str(recording)}
    command = [sys.executable, "-m", "tests.terraform.moto_server"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), url
            yield Emulator(url, boto3.Session(aws_access_key_id="test", aws_secret_access_key="test"))
        finally:
            server.stdin.close()
            server.wait(timeout=20)
