"""A backup while load runs, restored elsewhere; what was acknowledged since is sent again, and every cent is right."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.client import Client
from scripts.dev.chaos.history import History
from scripts.dev.chaos.judgement import judge
from scripts.dev.chaos.load import Load, Sender
from scripts.dev.chaos.scene import opened_scene
from scripts.dev.chaos.stack import Place
from scripts.local.embedded import valkey
from scripts.local.launcher.home import Home
from tests.databases import execute, url_of_database
from tests.stack import Stack, running_stack

_AT_ONCE = 200


@pytest.fixture
def target(server_url: str) -> Iterator[str]:
    execute(server_url, "CREATE DATABASE restored_after_load")
    yield url_of_database(server_url, "restored_after_load")
    execute(server_url, "DROP DATABASE restored_after_load WITH (FORCE)")


def leadger(*words: object, url: str, home: Path, status: int = 0) -> str:
    environment = {"DATABASE_URL": url, "LEADGER_HOME": str(home)}
    result = CliRunner().invoke(app, [str(word) for word in words], env=environment)
    assert result.exit_code == status, result.output + result.stderr
    return result.stderr if status else result.stdout


def place_of(stack: Stack) -> Place:
    return Place(stack.url, stack.key, stack.database_url, stack.redis_url, Home(stack.home))


@pytest.mark.slow
def test_a_backup_under_load_loses_and_bills_nothing(stack: Stack, target: str, tmp_path: Path) -> None:
    with opened_scene(place_of(stack), times=1, seed=4, name="backup") as scene:
        with Load(scene.sender, scene.world):
            time.sleep(1)
            taken = json.loads(
                leadger("backup", tmp_path / "backups", "--json", url=stack.database_url, home=stack.home)
            )
            time.sleep(1)
        scene.drain()
        acknowledged = scene.history.leads
    assert taken["rows"] > 0

    home = tmp_path / "home"
    leadger("restore", taken["backup"], url=target, home=home)
    with (
        valkey(tmp_path / "valkey", durable=False) as redis_url,
        running_stack(target, redis_url, home, known_key=stack.key) as restored,
    ):
        said = leadger("restore", taken["backup"], "--replace", url=target, home=home, status=1)
        assert said == "leadger: Leadger works on this database: stop API and workers first.\n"
        sent_again = History()
        sender = Sender(restored.url, restored.key, sent_again)
        try:
            for start in range(0, len(acknowledged), _AT_ONCE):
                sender.wait_until_done(sender.post(acknowledged[start : start + _AT_ONCE]))
        finally:
            sender.close()
        with Client(restored.url, restored.key) as client:
            leads = sum(batch["leads"]["new"] for batch in map(client.get, _status_urls(sent_again)))
            assert 0 < leads < len(acknowledged)  # some came after the backup, and some before
        found = judge(place_of(restored), scene.world, sent_again, seed=4)
        assert (found.lost, found.billed_twice, found.wrong_totals, found.false_2xx) == (0, 0, 0, 0), found.details
        assert found.leads > 20


def _status_urls(history: History) -> list[str]:
    return [f"/leads/batches/{batch_id}" for batch_id in history.batches]
