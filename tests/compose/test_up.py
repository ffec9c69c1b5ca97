"""compose.yaml, really run by Docker: from nothing to the sample report, and on to the data of before.

Where no Docker Engine answers, it is skipped. LEADGER_TEST_BASE_IMAGE may name what the image is built on.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.embedded.ports import free_port

pytestmark = pytest.mark.slow

_COMPOSE = Path(__file__).parents[2] / "compose/compose.yaml"
_NAME = f"leadger-test-{os.getpid()}"
_RUNNING = ("api", "background", "beat", "flower", "postgres", "redis", "worker")


@pytest.fixture(scope="module", autouse=True)
def project() -> Iterator[None]:
    """A project of this test's own, with nothing of it there yet, and nothing left of it afterwards."""
    for words in (["info"], ["compose", "version"]):
        if not _succeeds("docker", *words):
            pytest.skip(f"compose was not run: docker {' '.join(words)} fails")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_FILE", str(_COMPOSE))
        patch.setenv("COMPOSE_PROJECT_NAME", _NAME)
        patch.setenv("LEADGER_VERSION", _NAME)
        patch.setenv("LEADGER_PORT", str(free_port()))
        patch.setenv("FLOWER_PORT", str(free_port()))
        if base := os.environ.get("LEADGER_TEST_BASE_IMAGE"):
            patch.setenv("BASE_IMAGE", base)
        try:
            yield
        finally:
            _compose("down", "--volumes")
            _docker("image", "rm", "--force", f"leadger:{_NAME}")


@pytest.fixture(scope="module")
def key(project: None) -> str:
    """The first key of what one command built and started."""
    _up()
    return _compose("exec", "-T", "api", "leadger", "keys", "create", "me", "--first").split()[-1]


@pytest.fixture(scope="module")
def report(key: str) -> str:
    """What `leadger report` says once the samples are billed."""
    told = _leadger(key, "samples")
    assert "100.00 EUR billed of 194.00 EUR gross, 90.00 EUR saved as duplicates, 4.00 EUR saved by the cap." in told
    return _leadger(key, "report")


def test_everything_is_healthy_and_the_migrations_have_ended(key: str) -> None:
    said = _compose("ps", "--all", "--format", "{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}").splitlines()
    assert sorted(said) == sorted([*(f"{name} running healthy 0" for name in _RUNNING), "migrate exited  0"])


def test_another_up_replaces_nothing(report: str) -> None:
    before = _compose("ps", "--all", "--quiet")
    _up()
    assert sorted(_compose("ps", "--all", "--quiet").split()) == sorted(before.split())


def test_every_line_of_the_log_is_ours(report: str) -> None:
    lines = _compose("logs", "--no-color", "--no-log-prefix", "api", "worker", "background", "beat").splitlines()
    # Some versions of compose clear each line before they write it.
    assert {json.loads(line.removeprefix("\x1b[2K"))["level"] for line in lines} == {"info"}


@pytest.mark.parametrize("end", ["stop", "down"])
def test_the_data_are_there_again(key: str, report: str, end: str) -> None:
    _compose(end)
    _up()
    assert _leadger(key, "report") == report


def _up() -> None:
    _compose("up", "--detach", "--wait", "--wait-timeout", "300")


def _leadger(key: str, *words: str) -> str:
    return _compose("exec", "-T", "-e", f"LEADGER_API_KEY={key}", "api", "leadger", *words)


def _compose(*words: str) -> str:
    return _docker("compose", *words)


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
