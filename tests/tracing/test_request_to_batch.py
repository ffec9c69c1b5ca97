"""Traces of a running Leadger: from the request over commit and message to the SQL of the batch.

Its processes send once an hour, so everything here was sent when they ended.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from scripts.local.embedded import valkey
from tests.databases import copy_statement
from tests.stack import running_stack
from tests.tracing.collector import Collector, Span, collecting
from tests.tracing.scenario import CALLERS_SPAN, CALLERS_TRACE, MANY, PERSONAL, UNSAMPLED_TRACE, play

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = 2, 3, 4, 5
_LOGIN = ("ursulas_login", "unverkennbares")


@dataclass(frozen=True)
class Recorded:
    """What the scenario left: the traces, the worker's log, and the secrets that no trace may hold."""

    collector: Collector
    log: list[dict[str, Any]]
    secrets: tuple[str, ...]

    def request(self, request_id: str) -> Span:
        """The span of a request."""
        (span,) = [span for span in self.requests() if span.attributes["leadger.request_id"] == request_id]
        return span

    def requests(self) -> list[Span]:
        """The spans of all requests."""
        return [span for span in self.collector.spans if span.kind == _SERVER]

    def batches(self) -> list[Span]:
        """The spans of all batches that found something to decide."""
        return [span for span in self.collector.named("leads.batch") if span.attributes]

    def child(self, parent: Span, name: str) -> Span:
        """The one child with a name."""
        (span,) = [span for span in self.collector.named(name) if span.parent == parent.id]
        return span


@pytest.fixture(scope="module")
async def database_of_a_person(
    anyio_backend: str, server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """A fresh database with a login whose name and password are easy to search for."""
    name = tmp_path_factory.mktemp("traced").name
    connection = await asyncpg.connect(server_url)
    await connection.execute(copy_statement(name, template))
    await connection.execute(f"CREATE ROLE {_LOGIN[0]} SUPERUSER LOGIN PASSWORD '{_LOGIN[1]}'")
    place = urlsplit(server_url)
    yield urlunsplit(place._replace(netloc=f"{':'.join(_LOGIN)}@{place.hostname}:{place.port}", path=f"/{name}"))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"DROP ROLE {_LOGIN[0]}")
    await connection.close()


@pytest.fixture(scope="module")
def recorded(database_of_a_person: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The scenario, played once: a Leadger started, used and stopped."""
    folder = tmp_path_factory.mktemp("scenario")
    settings = {
        "LOG_LEVEL": "INFO",
        "LEADGER_SWEEP_INTERVAL_S": "3600",  # only notifications bring leads to the worker
        "LEADGER_SNAPSHOT_INTERVAL_S": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20000",
    }
    with collecting() as collector, valkey(folder / "valkey", durable=False) as redis_url:
        env = {**collector.env, **settings}
        with running_stack(database_of_a_person, redis_url, folder / "home", **env) as stack:
            play(stack)
            assert not collector.spans
        logs = [(folder / f"home/{name}.log").read_text() for name in ("worker", "background")]
        log = [json.loads(line) for text in logs for line in text.splitlines() if line[:1] == "{"]
        yield Recorded(collector, log, (stack.key, *_LOGIN))


def test_a_request_is_one_trace_down_to_the_sql_of_its_batch(recorded: Recorded) -> None:
    request = recorded.request("alone")
    assert (request.service, request.name, request.parent) == ("leadger-api", "POST /leads", "")
    assert len(request.attributes.pop("leadger.batch_id")) == 36
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/leads",
        "http.response.status_code": 202,
        "leadger.request_id": "alone",
        "leadger.leads": 1,
    }
    commit = recorded.child(request, "inbox.commit")
    copy = recorded.child(commit, "COPY inbox")
    assert (copy.kind, copy.attributes["db.system.name"]) == (_CLIENT, "postgresql")
    message = recorded.child(commit, "publish leads.process")
    assert (message.service, message.kind) == ("leadger-api", _PRODUCER)
    task = recorded.child(message, "leads.process")
    assert (task.service, task.kind) == ("leadger-worker", _CONSUMER)
    assert task.attributes["leadger.request_id"] == "alone"
    (batch,) = [each for each in recorded.batches() if "alone" in each.attributes["leadger.request_ids"]]
    assert (batch.service, batch.parent) == ("leadger-worker", task.id)
    assert batch.attributes == {"leadger.request_ids": ["alone"], "leadger.leads": 1}
    statements = [span.name for span in recorded.collector.spans if span.parent == batch.id]
    assert statements[0] == "BEGIN"
    assert statements[-1] == "COMMIT"
    assert {"SELECT inbox", "COPY leads", "COPY actions", "UPDATE inbox"} <= set(statements)


def test_requests_that_share_a_commit_are_linked_to_it(recorded: Recorded) -> None:
    requests = [recorded.request(f"many-{number}") for number in range(MANY)]
    assert len({request.trace for request in requests}) == MANY
    commits = recorded.collector.named("inbox.commit")
    parents = [(commit.trace, commit.parent) for commit in commits]
    linked = [link for commit in commits for link in commit.links]
    for request in requests:
        assert (parents + linked).count((request.trace, request.id)) == 1, request
    assert linked, "no two requests shared a commit"


def test_commits_that_share_a_message_are_linked_to_it(recorded: Recorded) -> None:
    messages = recorded.collector.named("publish leads.process")
    announced = [each.parent for each in messages] + [commit for each in messages for _, commit in each.links]
    commits = [commit.id for commit in recorded.collector.named("inbox.commit")]
    assert {each for each in announced if each} <= set(commits)
    assert sorted(commits) == sorted(each for each in announced if each)


def test_every_lead_is_found_by_its_request_id(recorded: Recorded) -> None:
    decided = [request_id for batch in recorded.batches() for request_id in batch.attributes["leadger.request_ids"]]
    expected = ["alone", "joined", *(f"many-{number}" for number in range(MANY))]
    assert sorted(set(decided) - {"unsampled"}) == sorted(expected)


def test_a_request_continues_the_trace_of_its_caller(recorded: Recorded) -> None:
    request = recorded.request("joined")
    assert (request.trace, request.parent) == (CALLERS_TRACE, CALLERS_SPAN)
    names = {span.name for span in recorded.collector.trace(CALLERS_TRACE)}
    assert {"POST /leads", "inbox.commit", "publish leads.process", "leads.process", "leads.batch"} <= names


def test_a_trace_that_its_caller_does_not_sample_is_not_sent(recorded: Recorded) -> None:
    assert recorded.collector.trace(UNSAMPLED_TRACE) == []
    assert not [span for span in recorded.requests() if span.attributes["leadger.request_id"] == "unsampled"]
    assert not [span for span in recorded.collector.named("leads.process") if "unsampled" in str(span.attributes)]


def test_a_refusal_names_the_route_and_no_id(recorded: Recorded) -> None:
    refused = recorded.request("refused")
    assert (refused.name, refused.attributes["http.response.status_code"], refused.failed) == (
        "POST /leads",
        400,
        False,
    )
    seen = {(span.name, span.attributes["http.response.status_code"]) for span in recorded.requests()}
    assert {("GET /leads", 200), ("GET /leads/{lead_id:path}", 200), ("GET", 404), ("GET /leads", 401)} <= seen
    assert ("_OTHER /leads", 405) in seen


def test_a_background_task_is_in_the_trace_of_its_request(recorded: Recorded) -> None:
    request = recorded.request("rebuild")
    task = recorded.child(recorded.child(request, "publish tasks.run"), "tasks.run")
    assert task.service == "leadger-worker"
    done = [line for line in recorded.log if line["event"] == "task_done"]
    assert sorted(line["kind"] for line in done) == ["rebuild", "rebuild_range"]
    assert {(line["request_id"], line["trace_id"]) for line in done} == {("rebuild", request.trace)}


def test_beat_begins_traces(recorded: Recorded) -> None:
    messages = recorded.collector.named("publish reports.snapshot")
    assert {(message.service, message.parent) for message in messages} == {("leadger-beat", "")}
    tasks = recorded.collector.named("reports.snapshot")
    assert tasks
    assert {task.service for task in tasks} == {"leadger-worker"}
    assert {task.parent for task in tasks} <= {message.id for message in messages}


def test_every_span_has_its_parent(recorded: Recorded) -> None:
    ids = {(span.trace, span.id) for span in recorded.collector.spans}
    assert len(ids) == len(recorded.collector.spans)
    roots = set()
    for span in recorded.collector.spans:
        if not span.parent:
            roots.add(span.name.partition(" ")[0])
        elif span.parent != CALLERS_SPAN:
            assert (span.trace, span.parent) in ids, span
    begun = {"leads.sweep"}  # by a worker that starts
    assert roots - begun <= {"GET", "POST", "_OTHER", "publish"}, "a span without a request or a schedule"


def test_log_lines_name_the_trace_and_the_request(recorded: Recorded) -> None:
    lines = [line for line in recorded.log if line["event"] == "leads_decided"]
    traces = {span.trace for span in recorded.collector.named("leads.batch")}
    assert len(lines) >= 3
    for line in lines:
        assert line["request_id"], line
        assert line.get("trace_id") in traces or line["request_ids"] == ["unsampled"], line
    (alone,) = [line for line in lines if line["request_ids"] == ["alone"]]
    assert (alone["request_id"], alone["trace_id"]) == ("alone", recorded.request("alone").trace)


def test_a_tasks_ids_are_gone_when_the_next_one_begins(recorded: Recorded) -> None:
    lines = [line for line in recorded.log if line["event"] == "reports_snapshot"]
    assert lines
    for line in lines:
        assert not {"request_id", "task_id", "background_task_id"} & set(line), line


@pytest.mark.parametrize("what", [*PERSONAL, *(name.upper() for name in PERSONAL)])
def test_nothing_personal_is_sent(recorded: Recorded, what: str) -> None:
    assert what.encode() not in recorded.collector.raw


def test_no_secret_is_sent(recorded: Recorded) -> None:
    assert len(recorded.collector.raw) > 100_000
    for secret in recorded.secrets:
        assert secret.encode() not in recorded.collector.raw


def test_probes_and_scrapes_are_not_traced(recorded: Recorded) -> None:
    assert not [
        span for span in recorded.requests() if span.attributes["http.route"] in ("/ready", "/health", "/metrics")
    ]
