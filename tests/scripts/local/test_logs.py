import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from scripts.local.launcher.logs import ProcessLogs, reason


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([], "nothing"),
        (["one", "two", ""], "two"),
        (["FATAL:  no space left", "LOG:  database system is shut down"], "FATAL:  no space left"),
        (["ImportError: first", "ModuleNotFoundError: api", "[INFO] bye"], "ModuleNotFoundError: api"),
    ],
)
def test_the_reason_is_the_last_line_that_names_an_error(lines: list[str], shown: str) -> None:
    assert reason(lines) == shown


def test_files_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.local.launcher.logs.FILE_BYTES", 1_000)
    logs = ProcessLogs(tmp_path, Console(file=io.StringIO()))
    for number in range(1_000):
        logs.write("api", f"line {number}")
    logs.close()
    assert sorted(os.listdir(tmp_path)) == ["api.log", "api.log.1", "api.log.2", "api.log.3"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    assert (tmp_path / "api.log").read_text().endswith("line 999\n")


def test_names_are_coloured_on_a_terminal_and_plain_in_a_pipe(tmp_path: Path) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    pipe = Console(file=io.StringIO())
    for console in (terminal, pipe):
        logs = ProcessLogs(tmp_path, console)
        logs.write("api", "[red]as it is[/red]")
        logs.close()
    assert isinstance(terminal.file, io.StringIO)
    assert isinstance(pipe.file, io.StringIO)
    assert terminal.file.getvalue() == "\x1b[36mapi     | \x1b[0m[red]as it is[/red]\n"
    assert pipe.file.getvalue() == "api     | [red]as it is[/red]\n"


def test_neither_a_full_disk_nor_a_closed_terminal_stops_the_process_that_writes(tmp_path: Path) -> None:
    (tmp_path / "api.log").symlink_to("/dev/full")
    program = (
        "import pathlib, sys; from rich.console import Console; from scripts.local.launcher.logs import ProcessLogs\n"
        "logs = ProcessLogs(pathlib.Path(sys.argv[1]), Console())\n"
        "for name in ('api', 'worker', 'beat'): logs.write(name, 'line ' * 10_000)"
    )
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as closed:
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], stdout=closed, check=True)
    assert (tmp_path / "beat.log").stat().st_size == 50_001


def test_answers_of_the_api_are_in_its_file_and_not_on_the_terminal(tmp_path: Path) -> None:
    shown = io.StringIO()
    logs = ProcessLogs(tmp_path, Console(file=shown))
    line = '{"method":"GET","route":"/leads","event":"request_served","request_id":"r"}'
    logs.write("api", line)
    logs.write("api", "started")
    logs.close()
    assert (tmp_path / "api.log").read_text() == f"{line}\nstarted\n"
    assert shown.getvalue() == "api     | started\n"
