"""The Makefile: every target is listed and can be run; those that need no Docker and no cloud are."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from scripts.local.embedded.ports import free_port
from tests.stack import Stack

_ROOT = Path(__file__).parent.parent
_TARGETS = """
setup clean docker-build docker-up docker-down test test-integration migrate migrate-down migrate-create seed
terraform-init terraform-plan terraform-apply terraform-destroy api-local run bench chaos deploy-local report
""".split()


def _make(*words: str, cwd: Path = _ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["make", *words], cwd=cwd, env=kept | (env or {}), capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the targets touch, with the environment that is there."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(_ROOT / name, tmp_path / name)
    for name in ("alembic", "db", "billing"):
        shutil.copytree(_ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(_ROOT / ".venv")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/setup").symlink_to("/bin/true")
    return tmp_path


def test_bare_make_lists_every_target_with_one_line() -> None:
    listed = _make()
    assert listed.returncode == 0
    lines = [re.fullmatch(r"  ([a-z-]+) +(\S.*)", line) for line in listed.stdout.splitlines()]
    assert {line[1] for line in lines if line} == {*_TARGETS, "help"}
    assert all(line and len(line[0]) <= 100 for line in lines)


def test_every_target_is_phony() -> None:
    text = (_ROOT / "Makefile").read_text()
    phony = {name for names in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in names.split()}
    assert phony == {*_TARGETS, "help"}


@pytest.mark.parametrize("target", _TARGETS)
def test_make_knows_what_to_do_for(target: str) -> None:
    done = _make("-n", target, 'name=a "quoted" name')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    for command in re.findall(r"^(?:scripts|compose)/[a-z-]+", done.stdout, re.MULTILINE):
        assert os.access(_ROOT / command, os.X_OK)


@pytest.mark.parametrize("verb", ["init", "plan", "apply", "destroy"])
def test_terraform_targets_work_on_the_environment_that_is_named_and_take_more_words(verb: str) -> None:
    assert f"environments/localstack {verb}" in _make("-n", f"terraform-{verb}").stdout
    made = _make("-n", f"terraform-{verb}", "ENV=aws", "ARGS=-var-file=smallest.tfvars -var image_tag=1.0.0")
    assert made.stdout == (
        f"terraform -chdir=terraform/environments/aws {verb} -var-file=smallest.tfvars -var image_tag=1.0.0\n"
    )
    assert re.search(rf"^  terraform-{verb} .*\bARGS\b", _make().stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("migrate",), "make migrate: set DATABASE_URL to the database to migrate; make run migrates its own."),
        (("migrate-down",), "make migrate-down: set DATABASE_URL to the database to migrate."),
        (("api-local",), "make api-local: set DATABASE_URL to a PostgreSQL of yours; make run brings one."),
        (
            ("migrate-create",),
            "make migrate-create: set name to what the migration does: make migrate-create name='add a column'.",
        ),
    ],
)
def test_what_is_missing_is_one_message(checkout: Path, words: tuple[str, ...], sentence: str) -> None:
    done = _make(*words, cwd=checkout)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == sentence


def test_migrate_create_makes_a_migration(checkout: Path) -> None:
    before = set((checkout / "alembic/versions").glob("*.py"))
    done = _make("migrate-create", 'name=count the "shops", don\'t guess', cwd=checkout)
    assert done.returncode == 0, done.stderr
    (made,) = set((checkout / "alembic/versions").glob("*.py")) - before
    assert made.read_text().startswith('"""count the')


def test_migrate_and_migrate_down(checkout: Path, database_url: str) -> None:
    for target in ("migrate-down", "migrate"):
        done = _make(target, cwd=checkout, env={"DATABASE_URL": database_url})
        assert done.returncode == 0, done.stdout + done.stderr


def test_clean_removes_caches_and_keeps_data_and_the_environment(checkout: Path) -> None:
    for name in ("api/__pycache__", ".mypy_cache", "terraform/environments/aws/.terraform", ".leadger/postgres"):
        (checkout / name).mkdir(parents=True)
    assert _make("clean", cwd=checkout).returncode == 0
    left = {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_dir()}
    assert {".leadger/postgres", "terraform/environments/aws"} <= left
    assert not {name for name in left if "__pycache__" in name or ".mypy_cache" in name or ".terraform" in name}
    assert (checkout / ".venv").is_symlink()


def test_setup_is_done_already() -> None:
    assert _make("setup").returncode == 0


def test_api_local_serves_a_database_of_yours(database_url: str, redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LEADGER_HOME": str(tmp_path / "home")}
    command = ["make", "api-local", f"PORT={port}"]
    with (tmp_path / "log").open("wb") as log:
        make = subprocess.Popen(
            command, cwd=_ROOT, env={**os.environ, **env}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"http://127.0.0.1:{port}/ready"):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
    finally:
        os.killpg(make.pid, signal.SIGTERM)
        make.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.slow
def test_seed_and_report(stack: Stack) -> None:
    seeded = _make("seed", "LEADS=20", env=stack.env)
    assert seeded.returncode == 0, seeded.stderr
    assert _make("report", env=stack.env).returncode == 0
