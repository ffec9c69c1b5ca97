"""`leadger doctor`: every part, whole and broken."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from db.core.version import version
from scripts.cli.app import app
from tests.stack import Stack

NAMES = ("DATABASE_URL", "REDIS_URL", "LEADGER_URL", "LEADGER_API_KEY", "LEADGER_HOME")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def _doctor(env: dict[str, str], status: int = 0) -> dict[str, tuple[str, str, str]]:
    result = CliRunner().invoke(app, ["doctor", "--json"], env=env)
    assert result.exit_code == status, result.output
    return {each["part"]: (each["state"], each["detail"], each["fix"] or "") for each in json.loads(result.stdout)}


def test_a_whole_installation(stack: Stack) -> None:
    found = _doctor(stack.env | {"DATABASE_URL": stack.database_url, "REDIS_URL": stack.redis_url})
    parts = (
        "Leadger",
        "Python",
        "Home",
        "API",
        "Clock",
        "Acceptance",
        "API key",
        "Database",
        "Schema",
        "Redis",
        "Worker",
        "Beat",
    )
    assert {part: found[part][0] for part in parts} == dict.fromkeys(parts, "ok")
    assert found["API key"][1] == "valid for ingest, read, bill, pricing, metrics, admin"


def test_through_the_api_alone(stack: Stack) -> None:
    found = _doctor(stack.env)
    assert found["Worker"][0] == "ok"
    assert "the background worker did a task within" in found["Worker"][1]
    assert [found[part][0] for part in ("Database", "Redis", "Beat")] == ["unknown"] * 3


def test_as_a_person_reads_it(stack: Stack) -> None:
    shown = CliRunner().invoke(app, ["doctor"], env=stack.env).stdout
    assert f"✔ API              {stack.url} answers\n" in shown
    assert "  → set REDIS_URL to look at it" in shown


def test_an_api_of_another_version(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.cli.doctor.api.version", lambda: "9.9.9")
    state, detail, fix = _doctor(stack.env)["API"]
    assert (state, detail) == ("warning", f"{stack.url} answers, but is version {version()}")
    assert fix == "use the `leadger` of that version; this one is 9.9.9"


def test_the_old_name_of_a_fix_stays_for_one_release(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["doctor", "--json"], env={"LEADGER_HOME": str(tmp_path)}).stdout
    assert all(each["mend"] == each["fix"] for each in json.loads(shown))


def test_a_key_that_may_do_less(stack: Stack) -> None:
    secret = (
        CliRunner().invoke(app, ["keys", "create", "x", "--scope", "read", "--scope", "bill"], env=stack.env).stdout
    )
    found = _doctor(stack.env | {"LEADGER_API_KEY": secret.strip()})
    assert found["API key"][:2] == ("ok", "valid for read, bill")
    assert found["Worker"][0] == "unknown"


def test_nothing_is_there(tmp_path: Path) -> None:
    env = {
        "LEADGER_URL": "http://127.0.0.1:1",
        "LEADGER_API_KEY": "x",
        "DATABASE_URL": "postgres://user:secret@127.0.0.1:1/x",
        "REDIS_URL": "redis://:secret@127.0.0.1:1/0",
        "LEADGER_HOME": str(tmp_path / "none"),
    }
    found = _doctor(env, status=1)
    assert {part for part, (state, _, _) in found.items() if state == "broken"} == {"API", "Database", "Redis"}
    assert {part for part, (state, _, _) in found.items() if state == "unknown"} == {"Home", "Worker", "Beat"}
    assert "secret" not in json.dumps(found)
    assert "scripts/run" in found["API"][2]


def test_without_any_address(tmp_path: Path) -> None:
    assert _doctor({"LEADGER_HOME": str(tmp_path)}, status=1)["API"][1] == "it is not known where it is"


def test_a_wrong_key_and_open_permissions(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "dev.env").write_text("")
    (tmp_path / "dev.env").chmod(0o644)
    found = _doctor({"LEADGER_URL": stack.url, "LEADGER_API_KEY": "wrong", "LEADGER_HOME": str(tmp_path)}, status=1)
    assert found["API key"][0] == "broken"
    assert found["Development key"] == (
        "warning",
        f"others may read {tmp_path}/dev.env",
        f"chmod 600 {tmp_path}/dev.env",
    )


@pytest.mark.parametrize("url", ["mysql://x", "postgres://[::1"])
def test_settings_that_cannot_be_used(stack: Stack, url: str) -> None:
    found = _doctor(stack.env | {"DATABASE_URL": url}, status=1)
    assert "broken" in {found.get(part, ("",))[0] for part in ("Settings", "Database")}


def test_a_database_without_tables(stack: Stack, server_url: str) -> None:
    found = _doctor(stack.env | {"DATABASE_URL": server_url}, status=1)
    assert found["Schema"][0] == "broken"
    assert "alembic upgrade head" in found["Schema"][2]
    assert re.fullmatch(r"PostgreSQL \d+ answers; shared_buffers \d+MB, max_wal_size \d+(MB|GB)", found["Database"][1])


def test_workers_and_beat_that_are_away(stack: Stack, redis_url: str) -> None:
    found = _doctor(stack.env | {"REDIS_URL": redis_url}, status=1)
    assert found["Redis"][0] == "ok"
    assert found["Worker"][:2] == ("broken", "none answers")
    assert found["Beat"][0] == "unknown"


def test_a_server_that_is_not_leadger(tmp_path: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = _doctor({"LEADGER_URL": url, "LEADGER_API_KEY": "x", "LEADGER_HOME": str(tmp_path)}, status=1)
        server.shutdown()
        thread.join()
    assert found["API"][:2] == ("broken", f"What answers at {url} is not Leadger.")


def test_through_a_gateway_that_hides_what_is_for_operators(stack: Stack) -> None:
    """As on AWS: the public paths and no others."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path in ("/ready", "/metrics"):
                answer = httpx.Response(404, json={"message": "Not Found"})
            else:
                headers = {name: self.headers.get(name, "") for name in ("Authorization", "Content-Type")}
                answer = httpx.request(self.command, stack.url + self.path, headers=headers, content=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found = _doctor({**stack.env, "LEADGER_URL": f"http://127.0.0.1:{server.server_port}"})
        server.shutdown()
        thread.join()
    assert found["Acceptance"][:2] == ("unknown", "what stands before the API lets nobody ask for /ready")
    assert found["API key"][:2] == ("ok", "valid for ingest, read, bill, pricing, admin")
    assert found["Worker"][0] == "ok"


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_servers_that_never_answer_hold_nothing_up(
    stack: Stack, silent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.cli.doctor.servers.PATIENCE_S", 0.5)
    env = {"DATABASE_URL": f"postgres://user@{silent_url}/x", "REDIS_URL": f"redis://{silent_url}/0"}
    found = _doctor(stack.env | env, status=1)
    assert found["Database"][:2] == ("broken", "it does not answer")
    assert found["Redis"][0] == "broken"


def test_the_embedded_servers_of_the_home_are_looked_at_too(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "dev.env").touch(mode=0o600)
    (tmp_path / "dev.env").write_text(f"LEADGER_URL={stack.url}\nLEADGER_API_KEY={stack.key}\n")
    config = stack.home.parent / "valkey" / "valkey.conf"
    (tmp_path / "valkey" / "valkey.conf").write_text(config.read_text())
    found = _doctor({"LEADGER_HOME": str(tmp_path)})
    assert [found[part][0] for part in ("Redis", "Worker", "Beat")] == ["ok"] * 3
    assert found["Database"][0] == "unknown"
