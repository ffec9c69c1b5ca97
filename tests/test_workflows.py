"""The workflows: valid by GitHub's schema, and running the project's own commands."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform.cli import PLUGIN_DIR

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
    assert [file.name for file in _FILES] == ["billing.yml", "ci.yml", "images.yml", "nightly.yml", "terraform.yml"]


def test_ci_runs_the_test_command_on_every_python() -> None:
    test = _jobs("ci.yml")["test"]
    assert test["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert test["steps"][-1] == {"run": "scripts/test"}
    assert _jobs("ci.yml")["all"]["steps"][-1] == {"run": 'sudo env "PATH=$PATH" "CI=$CI" scripts/test --all'}


def test_every_night_has_random_examples_of_its_own_and_ci_has_not() -> None:
    text = (_ROOT / ".github/workflows/nightly.yml").read_text()
    assert yaml.safe_load(text)["env"] == {"LEADGER_TEST_SEED": "${{ inputs.seed || 'random' }}"}
    assert "LEADGER_TEST_SEED" not in (_ROOT / ".github/workflows/ci.yml").read_text()
    nightly = _jobs("nightly.yml")
    words = nightly["histories"]["steps"][-1]["run"].split()
    assert words[0] == "scripts/test"
    assert words[-1] == "--hypothesis-profile=campaign"
    assert all((_ROOT / word).is_dir() for word in words[1:-1])
    command = 'sudo env "PATH=$PATH" "CI=$CI" "LEADGER_TEST_SEED=$LEADGER_TEST_SEED" scripts/test --all'
    assert nightly["all"]["steps"][-1] == {"run": command}
    assert nightly["all"]["steps"][:-1] == _jobs("ci.yml")["all"]["steps"][:-1]


def test_ci_has_what_the_tests_of_the_image_ask_for() -> None:
    install = _jobs("ci.yml")["all"]["steps"][-2]["run"]
    # runc comes with Docker, whose package and that of runc exclude each other.
    assert {"buildah", "debootstrap", "podman"} <= set(install.split())


def test_a_release_has_its_own_version_and_one_tag_for_both_architectures() -> None:
    jobs = _jobs("images.yml")
    runners = jobs["image"]["strategy"]["matrix"]["runner"]
    assert runners == ["ubuntu-24.04", "ubuntu-24.04-arm"]  # RUNNER_ARCH is X64 and ARM64 there
    said = {step.get("name"): step.get("run", "") for job in jobs.values() for step in job["steps"]}
    names = {"GITHUB_REF_NAME": "v1.2.3", "RUNNER_ARCH": "ARM64", "REPOSITORY": "registry.test/leadger"}
    assert _played(said["A release has the version of its tag"], names) == ["LEADGER_VERSION=1.2.3"]
    tag = "registry.test/leadger:1.2.3"
    assert _played(said["Push"], names | {"LEADGER_VERSION": "1.2.3"})[-2:] == [
        f"docker tag leadger:1.2.3 {tag}-arm64",
        f"docker push {tag}-arm64",
    ]
    made = _played(said["Push the manifest"], names)[-1]
    assert made == f"docker buildx imagetools create --tag {tag} {tag}-x64 {tag}-arm64"
    assert jobs["release"]["needs"] == "image"


def _played(script: str, env: dict[str, str]) -> list[str]:
    """What the step writes and which commands of Docker it gives, with no Docker and no file of GitHub's."""
    words = ["bash", "-euc", 'docker() { echo "docker $*"; }\n' + script]
    fixed = {"REGISTRY_USER": "user", "REGISTRY_PASSWORD": "secret", "GITHUB_ENV": "/dev/stdout"}
    done = subprocess.run(words, env=fixed | env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_terraform_is_tested_with_everything_that_its_tests_ask_for() -> None:
    *_, fetch, checkov, test = _jobs("terraform.yml")["test"]["steps"]
    assert test["run"] == "scripts/test --all tests/terraform"
    assert set(test["env"]) == {PLUGIN_DIR, "LEADGER_CHECKOV"}
    assert test["env"][PLUGIN_DIR] == "${{ runner.temp }}/providers"
    assert fetch["run"].endswith('providers mirror "$RUNNER_TEMP/providers"')
    assert test["env"]["LEADGER_CHECKOV"] == "${{ runner.temp }}/checkov/bin/checkov"
    assert checkov["run"].endswith('"$RUNNER_TEMP/checkov/bin/pip" install --quiet checkov')


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
