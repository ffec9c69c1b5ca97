"""`leadger pause`, `resume` and `stuck` against a running Leadger."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import redis
from typer.testing import CliRunner, Result

from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as client:
        yield client
        client.post("/api/workers/resume")


@pytest.fixture
def product(client: Client) -> str:
    """A product of a partner of its own."""
    name = f"pause-{uuid4().hex[:8]}"
    client.post("/api/partners", {"external_id": name, "name": "Acme"})
    client.post("/api/products", {"external_id": f"{name}-product", "partner": name, "name": "Product"})
    return f"{name}-product"


def _leadger(stack: Stack, *words: object, status: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], env=stack.env)
    assert result.exit_code == status, result.output
    return result


def _send(client: Client, product: str, lead_id: str) -> str:
    lead = {
        "lead_id": lead_id,
        "customer_id": f"{product}-customer",
        "customer": {"name": "Ann", "email": f"ann@{product}.example"},
        "product_id": product,
        "lead_type": "Event",
        "actions": [{"action_type": "Visit", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}],
    }
    url: str = client.post("/leads", lead)["status_url"]
    return url


def _state(client: Client, url: str) -> str:
    state: str = client.get(url)["state"]
    return state


def test_a_pause_holds_until_it_is_ended_whatever_redis_forgets(stack: Stack, client: Client, product: str) -> None:
    said = _leadger(stack, "pause", "new rates").stderr
    assert said == "The workers are paused; leads are accepted and wait until `leadger resume`.\n"
    time.sleep(0.5)  # so that the batch at hand is ended
    url = _send(client, product, "a")
    with redis.Redis.from_url(stack.redis_url) as broker:
        broker.flushall()
    time.sleep(2.5)  # two sweeps
    assert _state(client, url) == "waiting"
    said = _leadger(stack, "pause", "lunch").stderr
    assert re.fullmatch(r"The workers were paused before, since .* by tests: new rates; that pause stands\.\n", said)
    found = {each["part"]: each for each in json.loads(_leadger(stack, "doctor", "--json").stdout)}
    assert found["Paused"]["state"] == "warning"
    assert found["Paused"]["detail"].endswith("by tests: new rates")
    assert found["Paused"]["mend"].startswith("`leadger resume`")
    assert found["Worker"]["state"] == "unknown"
    assert found["Acceptance"]["state"] == "ok"
    said = _leadger(stack, "resume").stderr
    assert re.fullmatch(r"The workers go on; they were paused since .* by tests: new rates\.\n", said)
    client.wait_for(url, timeout_s=10)
    assert _leadger(stack, "resume").stderr == "The workers were not paused.\n"
    assert json.loads(_leadger(stack, "resume", "--json").stdout) == {"state": "running", "pause": None}


def test_closing_waits_in_a_pause_and_says_so(stack: Stack, client: Client, product: str) -> None:
    help_texts = [
        " ".join(_leadger(stack, word, "--help").stdout.replace("│", "").split()) for word in ("close", "pause")
    ]
    assert "While the workers are paused" in help_texts[0]
    assert "Closing a month waits for the end of the pause" in help_texts[1]
    _leadger(stack, "pause", "month end")
    time.sleep(0.5)
    _send(client, product, "b")
    partner = product.removesuffix("-product")
    closing = client.post(f"/api/partners/{partner}/periods/2024-04/close")
    time.sleep(2.5)
    assert client.get(closing["status_url"])["state"] == "waiting"
    _leadger(stack, "resume")
    assert client.wait_for(closing["status_url"], timeout_s=20)["result"]["closed"] is True


def test_what_is_stuck_and_who_holds_it_up(stack: Stack, client: Client, product: str) -> None:
    nothing = _leadger(stack, "stuck", "list").stderr
    assert nothing == "Nothing has waited for more than 60 s.\n"
    with _locked(stack) as pid:
        url = _send(client, product, "c")
        batch_id = url.rpartition("/")[2]
        deadline = time.monotonic() + 20
        why = ""
        while "waits for a lock" not in why:
            assert time.monotonic() < deadline, why
            items = json.loads(_leadger(stack, "stuck", "list", "--older-than", 0, "--json").stdout)
            why = next(each["why"] for each in items if each["batch_id"] == batch_id)
        assert f"Backend {pid} (somebody, idle in transaction, for " in why
        shown = _leadger(stack, "stuck", "list", "--older-than", 0).stdout
        assert batch_id in shown
        assert "idle in transaction" in shown
        retried = _leadger(stack, "stuck", "retry", "--older-than", 0).stdout
        assert retried == "The workers were notified of 1 parts of batches.\n"
    client.wait_for(url, timeout_s=20)


def test_nobody_is_notified_in_a_pause(stack: Stack, client: Client) -> None:
    _leadger(stack, "pause", "new [bold]rates")
    said = _leadger(stack, "stuck", "retry", status=1).stderr
    assert re.fullmatch(
        r"leadger: The workers have been paused since .* UTC by tests: new \[bold\]rates\. Resume them first\.\n", said
    )


def test_pausing_is_for_admins(stack: Stack, client: Client) -> None:
    made: dict[str, Any] = client.post("/api/keys", {"name": "reader", "scopes": ["read", "bill", "ingest"]})
    for words in (("pause", "x"), ("resume",), ("stuck", "retry")):
        said = _leadger(stack, *words, "--key", made["key"], status=1).stderr
        assert "'admin' is needed here" in said
    assert client.get("/api/workers")["state"] == "running"


@contextmanager
def _locked(stack: Stack) -> Iterator[int]:
    """Somebody holds a lock that every batch needs; their process in Postgres."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(stack.database_url, server_settings={"application_name": "somebody"}))
        try:
            runner.run(connection.execute("BEGIN; LOCK TABLE customer_periods IN ACCESS EXCLUSIVE MODE"))
            yield connection.get_server_pid()
        finally:
            runner.run(connection.close())


def test_background_tasks_are_listed_and_shown(stack: Stack, client: Client) -> None:
    name = f"tasks-{uuid4().hex[:8]}"
    client.post("/api/partners", {"external_id": name, "name": "Acme"})
    task = client.post(f"/api/partners/{name}/periods/2024-04/close")
    assert client.wait_for(task["status_url"], timeout_s=60)["state"] == "done"
    listed = json.loads(_leadger(stack, "tasks", "list", "--state", "done", "--limit", 0, "--json").stdout)
    assert task["task_id"] in [each["task_id"] for each in listed]
    assert task["task_id"] in _leadger(stack, "tasks", "list", "--limit", 0).stdout
    shown = _leadger(stack, "tasks", "show", task["task_id"]).stdout
    assert re.search(r"state +done", shown)
    assert re.search(r"attempts +1", shown)
    assert re.search(r"asked by +key ", shown)
    assert json.loads(_leadger(stack, "tasks", "show", task["task_id"], "--json").stdout)["kind"] == "close"
    assert "There is no task" in _leadger(stack, "tasks", "show", uuid4(), status=1).output
