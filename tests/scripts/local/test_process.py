import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Command, Process
from tests.scripts.processes import is_alive, read_pids, tree, wait_until_gone


def test_stop_ends_the_main_process_by_its_signal_and_then_all_it_left(tmp_path: Path) -> None:
    process = Process(tree(tmp_path / "pids"))
    pids = read_pids(tmp_path / "pids")
    assert all(map(is_alive, pids))
    process.stop()
    assert process.wait() == 128 + signal.SIGTERM
    assert not any(map(is_alive, pids))


def test_a_main_process_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = Process(tree(tmp_path / "pids", first="trap '' TERM", grace_s=0.3))
    pids = read_pids(tmp_path / "pids")
    began = time.monotonic()
    process.stop()
    assert process.wait() == 128 + signal.SIGKILL
    assert 0.3 <= time.monotonic() - began < 4
    assert not any(map(is_alive, pids))


def test_kill_9_of_the_main_process_leaves_none_of_its_children(tmp_path: Path) -> None:
    process = Process(tree(tmp_path / "pids"))
    pids = read_pids(tmp_path / "pids")
    os.kill(pids[0], signal.SIGKILL)
    assert process.wait() == 128 + signal.SIGKILL
    assert not any(map(is_alive, pids))


def test_kill_9_of_the_keeper_ends_the_main_process_and_its_group(tmp_path: Path) -> None:
    process = Process(tree(tmp_path / "pids"))
    pids = read_pids(tmp_path / "pids")
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == 128 + signal.SIGKILL
    wait_until_gone(pids[:2])
    os.kill(pids[2], signal.SIGKILL)  # left the group; `end_leftovers` finds such a one at the next start


def test_the_exit_status_is_the_commands_own() -> None:
    process = Process(Command(("sh", "-c", "exit 7")))
    assert process.wait() == 7
    assert not process.running


def test_a_command_that_does_not_exist_says_so() -> None:
    process = Process(Command(("no-such-program",)), subprocess.PIPE)
    with process.output as output:
        assert output.read() == b"cannot run no-such-program: No such file or directory\n"
    assert process.wait() == 127


def test_the_command_does_not_inherit_the_lifeline_and_has_no_signal_ignored(tmp_path: Path) -> None:
    program = "import os, signal; print(os.listdir('/proc/self/fd'), signal.getsignal(signal.SIGPIPE))"
    process = Process(Command((sys.executable, "-I", "-S", "-c", program)), subprocess.PIPE)
    with process.output as output:
        # 3 is the folder being listed. Python itself ignores SIGPIPE at its start.
        assert output.read().startswith(b"['0', '1', '2', '3']")
    assert process.wait() == 0


def test_a_keeper_started_later_does_not_hold_the_lifeline_of_an_earlier_one(tmp_path: Path) -> None:
    first, second = Process(tree(tmp_path / "1")), Process(tree(tmp_path / "2"))
    pids = read_pids(tmp_path / "1")
    assert set(pids) <= set(descendants(first.pid))
    first.stop()
    assert first.wait() == 128 + signal.SIGTERM
    assert second.running
    second.stop()
    assert second.wait() == 128 + signal.SIGTERM
