"""Flower against the running worker, as an operator sees it in a browser; nobody sees it without the password."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import playwright.sync_api
import pytest

from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.launcher.flower import flower_login
from scripts.local.processes.process import Process
from tests.browser import browser, needs_browser
from tests.scripts.processes import wait_until
from tests.stack import Stack

PASSWORD = "leadger:a password of the tests"
PATHS = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flower") / "flower.log"


@pytest.fixture(scope="module")
def flower(stack: Stack, log: Path) -> Iterator[str]:
    """The address of Flower, beside a worker that works."""
    port = free_port()
    env = {
        "DATABASE_URL": stack.database_url,
        "REDIS_URL": stack.redis_url,
        "LEADGER_HOME": str(stack.home),
        "LOG_LEVEL": "INFO",
    }
    with log.open("wb") as output:
        process = Process(commands.flower(port, PASSWORD, env), output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), "Flower answers", timeout_s=30)
        yield url
    finally:
        process.stop()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthcheck", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_the_password(flower: str, path: str) -> None:
    with httpx.Client(base_url=flower, trust_env=False) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, auth=("leadger", "another")).status_code == 401
        user, _, password = PASSWORD.partition(":")
        assert client.get(path, auth=(user, password)).status_code == 200


def test_what_flower_tells_without_it_is_counts_by_task_and_worker(flower: str) -> None:
    """It has no way to close these two; docs/security.md says so."""
    with httpx.Client(base_url=flower, trust_env=False) as client:
        assert client.get("/healthcheck").text == "OK"
        labels = {name for line in client.get("/metrics").text.splitlines() for name in re.findall(r'(\w+)="', line)}
    assert labels <= {
        "task",
        "worker",
        "type",
        "le",
        "generation",
        "implementation",
        "major",
        "minor",
        "patchlevel",
        "version",
    }


def test_the_password_is_not_on_the_command_line() -> None:
    command = commands.flower(5555, PASSWORD, {"LOG_LEVEL": "INFO"})
    assert PASSWORD not in " ".join(command.argv)


def test_the_login_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    login = flower_login(tmp_path)
    assert re.fullmatch(r"leadger:[\w-]{24}", login)
    assert flower_login(tmp_path) == login
    assert stat.S_IMODE((tmp_path / "flower-password").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["flower-password"]


@needs_browser
def test_an_operator_sees_the_worker_online_and_tasks_by_name(flower: str) -> None:
    user, _, password = PASSWORD.partition(":")
    with browser() as chromium:
        with pytest.raises(playwright.sync_api.Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            chromium.new_page().goto(flower)
        page = chromium.new_context(http_credentials={"username": user, "password": password}).new_page()
        page.goto(f"{flower}/workers")
        worker = page.locator("#workers-table tbody tr")
        for name in ("worker@", "background@"):
            worker.filter(has_text=name).filter(has_text="Online").wait_for()
        assert worker.count() == 2
        page.goto(f"{flower}/tasks")
        sweep = page.locator("#tasks-table tbody tr").filter(has_text="leads.sweep").first
        sweep.wait_for()
        assert "SUCCESS" in page.locator("#tasks-table tbody").inner_text()
        sweep.locator("a").first.click()
        page.get_by_text("leads.sweep").first.wait_for()


def test_it_starts_without_a_warning(flower: str, log: Path) -> None:
    assert log.read_text() == ""
