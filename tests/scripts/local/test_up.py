import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.local.launcher.home import hold_home
from scripts.local.launcher.supervisor import Supervisor
from scripts.local.launcher.up import bills_samples, up, wait_until
from tests.databases import execute


@pytest.fixture(autouse=True)
def _own_servers_and_own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATABASE_URL", "REDIS_URL", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _refusal(home: Path, port: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert up(port, home, once=True, reload=False, console=Console()) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        said = _refusal(tmp_path, port, capsys)
    assert said == (
        f"leadger: Port {port} of 127.0.0.1 is already taken by another program; choose another one with --port.\n"
    )
    assert not (tmp_path / "postgres").exists()


def test_a_home_in_use_even_on_the_same_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with hold_home(tmp_path, f"http://127.0.0.1:{port}"):
            said = _refusal(tmp_path, port, capsys)
    assert said == (
        f"leadger: Leadger is already running at http://127.0.0.1:{port}, pid {os.getpid()}, "
        f"with the folder {tmp_path}.\n"
    )


def test_a_home_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    said = _refusal(tmp_path / "file", free_port(), capsys)
    assert said == f"leadger: {tmp_path / 'file'} is not a folder: choose another one with --home.\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("DATABASE_URL", "mysql://user:secret@127.0.0.1/x", "DATABASE_URL must begin with postgres://"),
        (
            "DATABASE_URL",
            "postgres://user:secret@127.0.0.1:1/x",
            "The database at 127.0.0.1:1 cannot be used",
        ),
        ("REDIS_URL", "redis://:secret@127.0.0.1:1/0", "Redis at 127.0.0.1:1 cannot be used"),
    ],
)
def test_an_environment_that_cannot_be_used(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert up(free_port(), tmp_path, once=True, reload=False, console=Console()) == 1
    error = capfd.readouterr().err
    assert error.startswith("leadger: ")
    assert said in error
    assert error.count("\n") == 1
    assert "secret" not in error


def test_what_does_not_become_ready_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Failed before: it named a minute, and nothing to look at or to try."""
    with Supervisor(tmp_path, Console(quiet=True)) as supervisor, pytest.raises(CannotStart) as refused:
        wait_until(lambda: False, supervisor, "The API", patience_s=0)
    assert str(refused.value) == (
        "The API did not become ready within 0 seconds. What it said is above, and in the logs of the home folder; "
        "on a busy machine the same command may get further."
    )


@pytest.mark.slow
def test_it_starts_while_the_workers_are_paused(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed before: it waited a minute for the sample leads and ended then."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    execute(database_url, "INSERT INTO pauses (paused_by, reason) VALUES ('ann', 'new rates')")
    assert up(free_port(), tmp_path, once=True, samples=True, reload=False, console=Console()) == 0
    assert "The workers are paused: the sample leads wait until `leadger resume`.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("database_url", "asked", "billed"),
    [("", None, True), ("", False, False), ("postgres://a/b", None, False), ("postgres://a/b", True, True)],
)
def test_samples_are_billed_into_a_database_of_ours_or_if_asked_for(
    monkeypatch: pytest.MonkeyPatch, database_url: str, asked: bool | None, billed: bool
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert bills_samples(asked) is billed


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "partners"), [(None, 0), (True, 2)])
def test_samples_come_into_a_database_of_the_operators_own_only_if_asked_for(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, samples: bool | None, partners: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert up(free_port(), tmp_path, once=True, samples=samples, reload=False, console=Console(quiet=True)) == 0

    async def rows() -> list[int]:
        connection = await asyncpg.connect(database_url)
        try:
            return [
                await connection.fetchval(f"SELECT count(*) FROM {table}") for table in ("partners", "users", "inbox")
            ]
        finally:
            await connection.close()

    found = asyncio.run(rows())
    assert found[:2] == [partners, 4 if partners else 0]
    assert (found[2] > 0) is (partners > 0)
