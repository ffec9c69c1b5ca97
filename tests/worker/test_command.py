"""The command lines with which workers and beat start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local.launcher import commands
from scripts.local.launcher.home import Home

_SEARCHES = """
import gc
from contextlib import suppress
from db.core.garbage_collector import OF_A_WORKER, tune_garbage_collector
from worker.command import main

searches = []
gc.callbacks.append(lambda phase, info: searches.append(phase))
with suppress(SystemExit):
    main("worker.app", "worker", "--help")
import worker.task_kinds
tune_garbage_collector(OF_A_WORKER)
print(len(searches), gc.isenabled(), gc.get_threshold() == OF_A_WORKER)
"""

_ENV = {"DATABASE_URL": "postgresql://127.0.0.1/leadger", "REDIS_URL": "redis://127.0.0.1"}


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_worker_that_starts_imports_no_other_command_of_celery_and_no_web_server(name: str, tmp_path: Path) -> None:
    command = commands.background(_ENV) if name == "worker" else commands.beat(Home(tmp_path), _ENV)
    python, *words = command.argv
    words = [python, "-X", "importtime", *words, "--help"]
    done = subprocess.run(words, env=os.environ | _ENV, cwd=command.cwd, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--hostname" in done.stdout or "--schedule" in done.stdout
    assert "worker.runtime" in imported
    assert not imported & {"flower.app", "tornado", "prompt_toolkit", "celery.bin.shell"}


def test_a_worker_that_starts_searches_for_no_garbage_until_all_is_imported() -> None:
    words = [sys.executable, "-c", _SEARCHES]
    done = subprocess.run(words, env=os.environ | _ENV, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 True True"
