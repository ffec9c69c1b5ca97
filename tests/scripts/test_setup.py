import shutil
import subprocess
import time
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TOOLS = ("bash", "dirname", "cat", "cksum", "sed", "grep", "flock")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the set-up needs, and a PATH with the tools it needs and no Python."""
    (tmp_path / "scripts").mkdir()
    for name in ("requirements.lock", "pyproject.toml", "scripts/setup"):
        shutil.copy(_ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in _TOOLS:
        program = shutil.which(tool)
        assert program is not None
        (tmp_path / "bin" / tool).symlink_to(program)
    return tmp_path


def _python(checkout: Path, name: str, body: str) -> None:
    """A program that plays Python: `body` sees the code or the module to run as $2."""
    program = checkout / "bin" / name
    program.write_text(f"#!/usr/bin/env bash\n{body}\n")
    program.chmod(0o755)


def _set_up(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", checkout / "scripts" / "setup"],
        env={"PATH": str(checkout / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python_that_is_new_enough_one_sentence_says_what_to_install(checkout: Path) -> None:
    _python(checkout, "python3", "exit 1")
    done = _set_up(checkout)
    assert done.returncode == 1
    assert done.stderr == (
        "leadger: Python 3.11 or newer is needed and was not found as python3 or python3.11 to python3.13; "
        "install it (on Debian and Ubuntu: apt install python3 python3-venv).\n"
    )


def test_without_ensurepip_one_sentence_says_what_to_install(checkout: Path) -> None:
    _python(checkout, "python3", "[[ $2 != *ensurepip* ]]")
    done = _set_up(checkout)
    assert done.returncode == 1
    assert done.stderr == (
        "leadger: python3 cannot make an environment, because its modules venv and ensurepip are missing; "
        "install them (on Debian and Ubuntu: apt install python3-venv).\n"
    )


def test_another_python_is_taken_when_the_first_cannot_make_an_environment(checkout: Path) -> None:
    _python(checkout, "python3", "[[ $2 != *ensurepip* ]]")
    _python(checkout, "python3.12", '[[ $1 == -c ]] || { echo "$0 $*"; exit 1; }')
    done = _set_up(checkout)
    assert done.returncode == 1
    assert done.stdout == f"{checkout}/bin/python3.12 -m venv --clear .venv\n"


def test_an_environment_of_somebody_else_behind_a_link_is_not_emptied(checkout: Path, tmp_path: Path) -> None:
    _python(checkout, "python3", 'echo "$0 $*"')
    (tmp_path / "theirs").mkdir()
    (checkout / ".venv").symlink_to(tmp_path / "theirs")
    done = _set_up(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "leadger: .venv is a link, and making it anew would empty what it leads to; remove the link.\n"
    )


def test_an_environment_made_from_the_same_files_is_left_alone_at_once(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    _python(checkout, "../.venv/bin/python", "exit 1")
    files = b"".join(
        (checkout / name).read_bytes() for name in ("requirements.lock", "pyproject.toml", "scripts/setup")
    )
    made_from = subprocess.run(["cksum"], input=f"{checkout}\n".encode() + files, capture_output=True, check=True)
    (checkout / ".venv" / "made-from").write_bytes(made_from.stdout)
    began = time.monotonic()
    assert _set_up(checkout).returncode == 0
    assert time.monotonic() - began < 0.5
    (checkout / "pyproject.toml").write_text("changed")
    assert _set_up(checkout).returncode == 1
