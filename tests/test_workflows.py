"""The workflows: valid by GitHub's schema, and running the project's own commands."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parent.parent
_FILES = sorted((_ROOT / ".github/workflows").glob("*.yml"))


def _jobs(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load((_ROOT / ".github/workflows" / name).read_text())["jobs"]
    return jobs


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_are_valid_by_the_schema_of_github(schema: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *_FILES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert [file.name for file in _FILES] == ["ci.yml", "images.yml", "terraform.yml"]


def test_ci_runs_the_test_command_on_every_python() -> None:
    test = _jobs("ci.yml")["test"]
    assert test["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert test["steps"][-1] == {"run": "scripts/test"}
    assert _jobs("ci.yml")["all"]["steps"][-1] == {"run": "scripts/test --all"}


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_no_workflow_may_write_to_the_repository(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {}).get("contents", "read") == "read"
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_no_text_from_outside_is_run_as_a_command(file: Path) -> None:
    # An expression in a command is pasted into the shell; what it says belongs in env.
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        assert all("${{" not in step.get("run", "") for step in job["steps"])
