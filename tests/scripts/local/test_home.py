import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.errors import CannotStart
from scripts.local.launcher.home import DevEnv, add_logins, hold_home, message, read_dev_env, write_dev_env

_URL = "http://127.0.0.1:8000"


def _refusal(path: Path) -> str:
    with pytest.raises(CannotStart) as refused, hold_home(path, _URL):
        pass
    return str(refused.value)


def test_the_folder_is_made_and_closed_to_others(tmp_path: Path) -> None:
    with hold_home(tmp_path / "a" / "b", _URL) as home:
        assert home.path.stat().st_mode & 0o777 == 0o700
        assert home.logs.is_dir()


def test_a_folder_that_is_there_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with hold_home(tmp_path, _URL):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["flower-password", "logs/api.log", "logs"])
def test_a_link_in_a_folder_that_others_could_write_to_is_refused(tmp_path: Path, planted: str) -> None:
    home, victim = tmp_path / "home", tmp_path / "victim"
    victim.mkdir()
    (home / planted).parent.mkdir(parents=True)
    (home / planted).symlink_to(victim)
    home.chmod(0o777)
    assert _refusal(home) == (
        f"{home / planted} is a link, and others could write to {home}: "
        "remove what you did not put there, then start again."
    )
    assert list(victim.iterdir()) == []
    home.chmod(0o755)  # where only the owner could, the link is the owner's own
    if planted != "logs":
        with hold_home(home, _URL):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("planted", ["flower-password", "postgres", "reports/2024", "logs"])
def test_what_another_user_left_in_a_folder_that_others_could_write_to_is_refused(tmp_path: Path, planted: str) -> None:
    (tmp_path / planted).mkdir(parents=True)
    os.chown(tmp_path / planted, 65534, 65534)
    tmp_path.chmod(0o1777)
    for _ in range(2):  # a second start is no way around it
        assert _refusal(tmp_path) == (
            f"{tmp_path / planted} belongs to another user, and others could write to {tmp_path}: "
            "remove what you did not put there, then start again."
        )
        assert tmp_path.stat().st_mode & 0o7777 == 0o1777
    assert not (tmp_path / "lock").exists()
    tmp_path.chmod(0o755)  # where only the owner could write, it is there with the owner's will
    with hold_home(tmp_path, _URL):
        pass


def test_a_folder_is_closed_before_anybody_looks_for_what_others_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes, iterdir = [], Path.iterdir

    def noting(folder: Path) -> Iterator[Path]:
        modes.append(tmp_path.stat().st_mode & 0o777)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", noting)
    tmp_path.chmod(0o777)
    with hold_home(tmp_path, _URL):
        assert set(modes) == {0o700}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_the_home_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    assert _refusal(tmp_path) == f"{tmp_path} belongs to another user: choose another folder with --home."
    assert list(tmp_path.iterdir()) == []


def test_a_home_in_use_is_refused_with_url_and_pid_until_it_is_free(tmp_path: Path) -> None:
    with hold_home(tmp_path, _URL):
        assert _refusal(tmp_path) == (
            f"Leadger is already running at {_URL}, pid {os.getpid()}, with the folder {tmp_path}."
        )
    with hold_home(tmp_path, "http://127.0.0.1:8001"):
        assert (tmp_path / "lock").read_text() == f"http://127.0.0.1:8001, pid {os.getpid()}"


def test_a_home_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from scripts.local.launcher.home import hold_home\n"
        "with hold_home(pathlib.Path(sys.argv[1]), ''): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    with hold_home(tmp_path, _URL):
        pass


def test_the_development_key_is_for_its_owner_only(tmp_path: Path) -> None:
    assert read_dev_env(tmp_path) is None
    with hold_home(tmp_path, _URL) as home:
        write_dev_env(home, DevEnv("http://127.0.0.1:1", "old"))
        write_dev_env(home, DevEnv(_URL, "a=b", {"admin": ("ada@example.com", "old")}))
        add_logins(home, {"admin": ("ada@example.com", "c=d"), "customer_success": ("cs@example.com", "e")})
    logins = {"admin": ("ada@example.com", "c=d"), "customer_success": ("cs@example.com", "e")}
    assert (tmp_path / "dev.env").read_text().splitlines() == [
        f"LEADGER_URL={_URL}",
        "LEADGER_API_KEY=a=b",
        "LEADGER_ADMIN_EMAIL=ada@example.com",
        "LEADGER_ADMIN_PASSWORD=c=d",
        "LEADGER_CUSTOMER_SUCCESS_EMAIL=cs@example.com",
        "LEADGER_CUSTOMER_SUCCESS_PASSWORD=e",
    ]
    assert (tmp_path / "dev.env").stat().st_mode & 0o777 == 0o600
    assert read_dev_env(tmp_path) == DevEnv(_URL, "a=b", logins)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert _refusal(file) == f"{file} is not a folder: choose another one with --home."
    assert _refusal(file / "home") == f"{file / 'home'} is not a folder: choose another one with --home."


def test_a_home_that_cannot_be_made_is_refused() -> None:
    # In /proc not even root can make a folder.
    assert _refusal(Path("/proc/home")) == "/proc/home cannot be used: No such file or directory."


def test_a_home_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from scripts.errors import CannotStart; from scripts.local.launcher.home import hold_home\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "try:\n with hold_home(pathlib.Path(sys.argv[1]), ''): pass\n"
        "except CannotStart as error: print(error)"
    )
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    answer = subprocess.run(
        [sys.executable, "-c", program, str(closed / "home")], capture_output=True, text=True, check=True
    )
    assert answer.stdout == (
        f"You may not write to {closed / 'home'}: change its permissions or choose another folder with --home.\n"
    )


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("full disk: this system does not let us mount a small one")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_refused(full_disk: Path) -> None:
    assert _refusal(full_disk / "home") == (
        f"The disk that holds {full_disk / 'home'} has only 8 MB left, and Leadger needs 150 MB: "
        "free some space or choose another folder with --home."
    )


def test_a_disk_that_fills_up_later_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as full, open("/dev/full", "wb", buffering=0) as disk:
        disk.write(b"one byte")
    assert message(full.value, tmp_path) == (
        f"The disk that holds {tmp_path} is full: free some space or choose another folder with --home."
    )
