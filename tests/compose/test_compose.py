"""The compose files: valid by the official schema, and as careful as they say."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from db.core.engine import create_engine, transaction
from db.core.settings import Settings
from scripts.local.embedded.sizing import size_of

_COMPOSE = Path(__file__).parents[2] / "compose"
_FILES = sorted(_COMPOSE.glob("compose*.yaml"))
_OURS = ("migrate", "api", "worker", "background", "beat", "flower")


def _services(name: str = "compose.yaml") -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((_COMPOSE / name).read_text())["services"]
    return services


def test_the_files_are_valid_by_the_schema_of_compose() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *_FILES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert [file.name for file in _FILES] == ["compose.localstack.yaml", "compose.observability.yaml", "compose.yaml"]


def test_every_part_is_there_and_ours_are_one_image_that_one_of_them_builds() -> None:
    services = _services()
    assert set(services) == {"postgres", "redis", *_OURS}
    assert len({services[name]["image"] for name in _OURS}) == 1
    assert {services[name]["pull_policy"] for name in _OURS} == {"never"}
    assert [name for name in services if "build" in services[name]] == ["api"]
    assert {name: services[name]["command"][0] for name in _OURS} == {name: name for name in _OURS}


@pytest.mark.parametrize("name", _OURS)
def test_ours_run_with_a_read_only_root_and_no_rights(name: str) -> None:
    service = _services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["home:/var/lib/leadger"]
    assert service["tmpfs"] == ["/tmp:size=16m,mode=1777"]
    (volumes,) = re.findall(r"^VOLUME (.+)$", (_COMPOSE / "Dockerfile").read_text(), re.MULTILINE)
    assert json.loads(volumes) == ["/tmp", "/var/lib/leadger"]


def test_the_start_waits_for_health() -> None:
    services = _services()
    for name in ("postgres", "redis"):
        assert services[name]["healthcheck"]["test"]
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["flower"]["depends_on"] == {
        "worker": {"condition": "service_healthy"},
        "background": {"condition": "service_healthy"},
    }
    for name in ("api", "worker", "background", "beat"):
        assert services[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


def test_who_is_waited_for_is_asked_every_second_while_it_starts() -> None:
    for name, service in _services().items():
        if name != "migrate":
            assert service["healthcheck"]["start_interval"] == "1s", name
            assert service["healthcheck"]["start_period"], name  # without it compose refuses the other
    assert _services()["migrate"]["healthcheck"] == {"disable": True}


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_everything_has_limits_and_is_open_to_this_machine_only(file: Path) -> None:
    for name, service in _services(file.name).items():
        if "image" not in service:
            assert name in _services(), name
            assert set(service) == {"environment"}, name
            continue  # it only adds to a service of compose.yaml
        limits = service["deploy"]["resources"]["limits"]
        assert limits["cpus"], name
        assert limits["memory"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_who_makes_traces_sends_them_to_jaeger() -> None:
    services = _services("compose.observability.yaml")
    sending = {name: service["environment"] for name, service in services.items() if "image" not in service}
    assert set(sending) == {"api", "worker", "background", "beat"}
    for name, environment in sending.items():
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
        assert set(_services()[name]["networks"]) & set(services["jaeger"]["networks"])


def test_only_the_api_and_flower_are_open_and_the_database_cannot_reach_out() -> None:
    services = _services()
    assert {name for name, service in services.items() if "ports" in service} == {"api", "flower"}
    assert services["postgres"]["networks"] == services["redis"]["networks"] == ["inside"]
    assert yaml.safe_load((_COMPOSE / "compose.yaml").read_text())["networks"]["inside"] == {"internal": True}


def test_nothing_has_to_be_set_before_the_first_start() -> None:
    assert ":?" not in (_COMPOSE / "compose.yaml").read_text()


def test_postgres_has_the_sizes_that_the_embedded_server_would_choose() -> None:
    service = _services()["postgres"]
    assert service["deploy"]["resources"]["limits"]["memory"] == "1g"
    size = size_of(1024**3, 16 * 1024**3).settings()
    assert size == {
        "shared_buffers": "256MB",
        "max_wal_size": "4096MB",
        "checkpoint_timeout": "30min",
        "wal_init_zero": "off",
    }
    assert service["command"] == [
        "postgres",
        "-cshared_buffers=${POSTGRES_SHARED_BUFFERS:-256MB}",
        "-cmax_wal_size=${POSTGRES_MAX_WAL_SIZE:-4GB}",
        "-ccheckpoint_timeout=30min",
        "-cwal_init_zero=off",
    ]


@pytest.mark.parametrize("password", ["p@ss/wo#rd%41:x", "a b?c&d=é"])
async def test_any_password_of_the_database_works(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """Case 53."""
    for name in _OURS:
        given = _services()[name]["environment"]
        assert given["PGPASSWORD"] == "${POSTGRES_PASSWORD:-leadger}"
        assert given["DATABASE_URL"] == "postgresql://leadger@postgres:5432/leadger"
    server = urlsplit(database_url)
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "CREATE ROLE composed LOGIN PASSWORD " + await owner.fetchval("SELECT quote_literal($1)", password)
    )
    try:
        url = f"postgresql://composed@{server.hostname}:{server.port}{server.path}"  # of the same form
        for tried, works in ((password, True), ("another", False)):
            monkeypatch.setenv("PGPASSWORD", tried)
            engine = create_engine(Settings(database_url=url, redis_url=redis_url))
            with nullcontext() if works else pytest.raises(Exception, match="password authentication failed"):
                async with transaction(engine) as connection:
                    assert await connection.fetchval("SELECT current_user") == "composed"
            await engine.dispose()
    finally:
        await owner.execute("DROP ROLE composed")
        await owner.close()
