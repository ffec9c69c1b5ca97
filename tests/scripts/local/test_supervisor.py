import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from scripts.errors import CannotStart
from scripts.local.launcher.leftovers import end_leftovers
from scripts.local.launcher.supervisor import Supervisor
from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Command
from tests.scripts.processes import is_alive, read_pids, tree, wait_until, wait_until_gone

_FOR_EVER = Command(("sleep", "600"))


def _terminal() -> Console:
    return Console(file=io.StringIO(), width=200)


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_child_that_dies_is_started_again_with_a_message(tmp_path: Path) -> None:
    pids, console = tmp_path / "pids", _terminal()
    with Supervisor(tmp_path, console) as supervisor:
        supervisor.start("api", tree(pids))
        first = read_pids(pids)
        pids.unlink()
        os.kill(first[0], signal.SIGKILL)
        second = read_pids(pids)
        assert not any(map(is_alive, first))
        assert all(map(is_alive, second))
    assert not any(map(is_alive, second))
    assert "leadger | api was ended by SIGKILL; starting it again in 0.5 s\n" in _written(console)


def test_a_child_whose_keeper_dies_is_started_again(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with Supervisor(tmp_path, _terminal()) as supervisor:
        before = set(descendants(os.getpid()))
        supervisor.start("api", tree(pids))
        first = read_pids(pids)
        (keeper,) = (pid for pid in set(descendants(os.getpid())) - before if first[0] in descendants(pid))
        pids.unlink()
        os.kill(keeper, signal.SIGKILL)
        assert all(map(is_alive, read_pids(pids)))
        wait_until_gone(first[:2])
        os.kill(first[2], signal.SIGKILL)


def test_a_child_that_cannot_start_ends_everything_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.local.launcher.child.FIRST_DELAY_S", 0.01)
    with Supervisor(tmp_path, _terminal()) as supervisor:
        supervisor.start("api", Command(("sh", "-c", "echo no module named leadger; exit 3")))
        with pytest.raises(CannotStart) as failure:
            supervisor.wait(10)
    assert str(failure.value) == (
        "api cannot be started: 5 times in a row it ended with status 3 at once, the last time saying "
        f'"no module named leadger"; see {tmp_path}/api.log.'
    )


def test_a_child_that_others_kill_again_and_again_is_started_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.local.launcher.child.FIRST_DELAY_S", 0.01)
    pids = tmp_path / "pids"
    with Supervisor(tmp_path, _terminal()) as supervisor:
        supervisor.start("worker", tree(pids))
        for number in (signal.SIGKILL, signal.SIGTERM) * 4:
            pid = read_pids(pids)[0]
            pids.unlink()
            os.kill(pid, number)
        supervisor.wait(0.1)
        assert is_alive(read_pids(pids)[0])


def test_what_has_to_be_done_before_a_start_is_done_before_every_start(tmp_path: Path) -> None:
    pids, prepared = tmp_path / "pids", threading.Semaphore(0)
    with Supervisor(tmp_path, _terminal()) as supervisor:
        supervisor.start("postgres", tree(pids), before=prepared.release)
        os.kill(read_pids(pids)[0], signal.SIGKILL)
        assert prepared.acquire(timeout=5)
        assert prepared.acquire(timeout=5)


def test_restart_stops_the_child_and_starts_it_at_once(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with Supervisor(tmp_path, _terminal()) as supervisor:
        supervisor.start("api", tree(pids))
        first = read_pids(pids)
        pids.unlink()
        began = time.monotonic()
        supervisor.restart("api")
        assert read_pids(pids) != first
        assert time.monotonic() - began < 0.5
        assert not any(map(is_alive, first))


def test_children_are_stopped_one_by_one_the_last_started_first(tmp_path: Path) -> None:
    said = 'trap "echo bye; exit 0" TERM; echo hello; while :; do sleep 0.01; done'
    console = _terminal()
    with Supervisor(tmp_path, console) as supervisor:
        for name in ("postgres", "valkey", "api"):
            supervisor.start(name, Command(("sh", "-c", said)))
            wait_until((tmp_path / f"{name}.log").exists, "it has said hello")
    assert _written(console).splitlines()[-6:] == [
        "api     | bye",
        "leadger | api stopped",
        "valkey  | bye",
        "leadger | valkey stopped",
        "postgres| bye",
        "leadger | postgres stopped",
    ]
    assert (tmp_path / "api.log").read_text() == "hello\nbye\n"


def test_a_line_without_end_and_bytes_that_are_no_text_are_passed_on_in_pieces(tmp_path: Path) -> None:
    program = "import sys; sys.stdout.buffer.write(b'x' * 100_000 + b'\\xff\\n[bold]')"
    console = _terminal()
    with Supervisor(tmp_path, console) as supervisor:
        supervisor.start("api", Command((sys.executable, "-c", program)))
        wait_until(lambda: "[bold]" in _written(console), "all written")
    lines = (tmp_path / "api.log").read_text().splitlines()
    assert [len(line) for line in lines[:2]] == [65_536, 100_001 - 65_536]
    assert lines[1].endswith("\N{REPLACEMENT CHARACTER}")


def _supervisor_to_kill(home: Path) -> tuple["subprocess.Popen[bytes]", list[int]]:
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "tests.scripts.supervise_two_trees", str(home)], stdout=subprocess.DEVNULL
    )
    return supervisor, read_pids(home / "one") + read_pids(home / "two")


def test_kill_9_of_the_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    supervisor, pids = _supervisor_to_kill(tmp_path)

    def keepers() -> list[int]:
        return [pid for pid in descendants(supervisor.pid) if pid not in pids]

    wait_until(lambda: len(keepers()) == 2, "each has its keeper, and nothing else is starting", 10)
    all_of_them = pids + keepers()
    supervisor.kill()
    supervisor.wait()
    wait_until_gone(all_of_them)


def test_kill_9_of_everything_but_the_grandchildren_is_cleared_by_the_next_start(tmp_path: Path) -> None:
    supervisor, pids = _supervisor_to_kill(tmp_path)
    keepers = [pid for pid in descendants(supervisor.pid) if pid not in pids]
    for pid in keepers:
        os.kill(pid, signal.SIGSTOP)
    supervisor.kill()
    supervisor.wait()
    for pid in keepers:
        os.kill(pid, signal.SIGKILL)
    wait_until_gone([pids[0], pids[3], *keepers])
    assert all(map(is_alive, pids[1:3] + pids[4:]))
    end_leftovers(tmp_path / "another home")
    assert all(map(is_alive, pids[1:3] + pids[4:]))
    end_leftovers(tmp_path)
    assert not any(map(is_alive, pids))
