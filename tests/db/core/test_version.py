"""The version: pyproject.toml says it, and nothing else does."""

import tomllib
from importlib import metadata
from pathlib import Path

from typer.testing import CliRunner

from db.core.version import PROJECT_FILE, version
from scripts.cli.app import app

_ROOT = Path(__file__).parents[3]


def test_the_version_is_the_one_in_pyproject() -> None:
    said = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert PROJECT_FILE == _ROOT / "pyproject.toml"
    assert version() == said


def test_an_installed_package_without_its_sources_knows_its_version(tmp_path: Path) -> None:
    assert version(tmp_path / "pyproject.toml") == metadata.version("leadger")


def test_the_command_prints_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"leadger {version()}\n")


def test_the_changelog_begins_with_the_version_after_what_is_unreleased() -> None:
    lines = (_ROOT / "CHANGELOG.md").read_text().splitlines()
    headings = [line.split()[1] for line in lines if line.startswith("## ")]
    assert next(each for each in headings if each != "Unreleased") == version()
