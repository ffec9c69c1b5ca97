"""The Dockerfile and what goes to its builder, without building it."""

import subprocess
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, _ROOT / "compose/Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_only_what_the_image_needs_goes_to_the_builder() -> None:
    lines = [line for line in (_ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    # What is installed of scripts anywhere is in the image, too; measurements and faults are for developers.
    packages = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    scripts = {"/".join(name.split(".")[:2]) for name in packages if name.startswith("scripts.")}
    assert let_in == scripts | {
        *("alembic", "api", "billing", "db", "scripts/*.py", "worker"),
        *("compose/healthy.py", "compose/start", "pyproject.toml", "requirements.lock", "samples"),
    }
    assert all(any(_ROOT.glob(name)) for name in let_in)


def test_what_is_for_developers_is_neither_installed_nor_in_the_image() -> None:
    packages = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert (_ROOT / "scripts/dev").is_dir()
    assert [name for name in packages if name.startswith("scripts.dev")] == []
    assert [line for line in (_ROOT / ".dockerignore").read_text().splitlines() if "dev" in line.split("/")] == []


def test_every_folder_of_the_product_is_installed() -> None:
    packages = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {
        file.parent.relative_to(_ROOT).as_posix().replace("/", ".")
        for name in ("api", "billing", "db", "scripts", "worker")
        for file in (_ROOT / name).rglob("*.py")
    }
    assert sorted(packages) == sorted(name for name in folders if not f"{name}.".startswith("scripts.dev."))


def test_the_label_names_the_version_of_the_project_unless_a_release_names_its_own() -> None:
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in (_ROOT / "compose/Dockerfile").read_text()
    assert f"VERSION: ${{LEADGER_VERSION:-{version}}}\n" in (_ROOT / "compose/compose.yaml").read_text()


def test_the_image_starts_the_processes_as_the_supervisor_does() -> None:
    # Two places name the options of the same programs: what billing relies on must stand in both.
    start = (_ROOT / "compose/start").read_text()
    commands = (_ROOT / "scripts/local/launcher/commands.py").read_text()
    for option in (
        *("--interface", "--factory", "--no-ws", "--respawn-failed-workers"),
        *("--without-mingle", "--without-gossip", "--schedule", "--pidfile="),
    ):
        assert option in start, option
        assert option in commands, option
