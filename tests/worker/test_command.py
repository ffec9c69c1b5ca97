"""The command lines with which workers and beat start."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.local.launcher import commands
from scripts.local.launcher.home import Home


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_worker_that_starts_imports_no_other_command_of_celery_and_no_web_server(name: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": "postgresql://127.0.0.1/leadger", "REDIS_URL": "redis://127.0.0.1"}
    command = commands.background(env) if name == "worker" else commands.beat(Home(tmp_path), env)
    python, *words = command.argv
    words = [python, "-X", "importtime", *words, "--help"]
    done = subprocess.run(words, env=os.environ | env, cwd=command.cwd, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--hostname" in done.stdout or "--schedule" in done.stdout
    assert "worker.runtime" in imported
    assert not imported & {"flower.app", "tornado", "prompt_toolkit", "celery.bin.shell"}
