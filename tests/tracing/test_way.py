"""Traces of a running Leadger: from the request over commit and message to the SQL of the batch.

Its processes are told to send once an hour, so whatever is seen here was sent when they ended.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from scripts.local.embedded import valkey
from tests.stack import running_stack
from tests.tracing.collector import Collector, Span, collecting
from tests.tracing.story import CALLERS_SPAN, CALLERS_TRACE, MANY, PERSONAL, UNSAMPLED_TRACE, tell

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = 2, 3, 4, 5
_LOGIN = ("ursulas_login", "unverkennbares")


@dataclass(frozen=True)
class Told:
    """What came of the story: the traces, the worker's log, and what must stay out of the traces."""

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
    """A fresh database, reached with a login that is easily found where it should not be."""
    name = tmp_path_factory.mktemp("traced").name
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await connection.execute(f"CREATE ROLE {_LOGIN[0]} SUPERUSER LOGIN PASSWORD '{_LOGIN[1]}'")
    place = urlsplit(server_url)
    yield urlunsplit(place._replace(netloc=f"{':'.join(_LOGIN)}@{place.hostname}:{place.port}", path=f"/{name}"))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"DROP ROLE {_LOGIN[0]}")
    await connection.close()


@pytest.fixture(scope="module")
def told(database_of_a_person: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The story, told once: a Leadger started, used and ended."""
    folder = tmp_path_factory.mktemp("story")
    settings = {
        "LOG_LEVEL": "INFO",
        "LEADGER_SWEEP_INTERVAL_S": "3600",  # only rings bring leads to the worker
        "LEADGER_SNAPSHOT_INTERVAL_S": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20000",
    }
    with collecting() as collector, valkey(folder / "valkey", durable=False) as redis_url:
        env = {**collector.env, **settings}
        with running_stack(database_of_a_person, redis_url, folder / "home", **env) as stack:
            tell(stack)
            assert not collector.spans
        log = [json.loads(line) for line in (folder / "home/worker.log").read_text().splitlines() if line[:1] == "{"]
        yield Told(collector, log, (stack.key, *_LOGIN))


def test_a_request_is_one_trace_down_to_the_sql_of_its_batch(told: Told) -> None:
    request = told.request("alone")
    assert (request.service, request.name, request.parent) == ("leadger-api", "POST /leads", "")
    assert len(request.attributes.pop("leadger.batch_id")) == 36
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/leads",
        "http.response.status_code": 202,
        "leadger.request_id": "alone",
        "leadger.leads": 1,
    }
    commit = told.child(request, "inbox.commit")
    copy = told.child(commit, "COPY inbox")
    assert (copy.kind, copy.attributes["db.system.name"]) == (_CLIENT, "postgresql")
    ring = told.child(commit, "publish leads.process")
    assert (ring.service, ring.kind) == ("leadger-api", _PRODUCER)
    task = told.child(ring, "leads.process")
    assert (task.service, task.kind) == ("leadger-worker", _CONSUMER)
    assert task.attributes["leadger.request_id"] == "alone"
    (batch,) = [each for each in told.batches() if "alone" in each.attributes["leadger.request_ids"]]
    assert (batch.service, batch.parent) == ("leadger-worker", task.id)
    assert batch.attributes == {"leadger.request_ids": ["alone"], "leadger.leads": 1}
    statements = [span.name for span in told.collector.spans if span.parent == batch.id]
    assert statements[0] == "BEGIN"
    assert statements[-1] == "COMMIT"
    assert {"SELECT inbox", "COPY leads", "COPY actions", "UPDATE inbox"} <= set(statements)


def test_requests_that_share_a_commit_are_linked_to_it(told: Told) -> None:
    requests = [told.request(f"many-{number}") for number in range(MANY)]
    assert len({request.trace for request in requests}) == MANY
    commits = told.collector.named("inbox.commit")
    served = [(commit.trace, commit.parent) for commit in commits]
    linked = [link for commit in commits for link in commit.links]
    for request in requests:
        assert (served + linked).count((request.trace, request.id)) == 1, request
    assert linked, "no two requests shared a commit"


def test_commits_that_share_a_ring_are_linked_to_it(told: Told) -> None:
    rings = told.collector.named("publish leads.process")
    rung = [ring.parent for ring in rings] + [commit for ring in rings for _, commit in ring.links]
    commits = [commit.id for commit in told.collector.named("inbox.commit")]
    assert {each for each in rung if each} <= set(commits)
    assert sorted(commits) == sorted(each for each in rung if each)


def test_every_lead_is_found_by_its_request_id(told: Told) -> None:
    decided = [request_id for batch in told.batches() for request_id in batch.attributes["leadger.request_ids"]]
    expected = ["alone", "joined", *(f"many-{number}" for number in range(MANY))]
    assert sorted(set(decided) - {"unsampled"}) == sorted(expected)


def test_a_callers_trace_goes_on_here(told: Told) -> None:
    request = told.request("joined")
    assert (request.trace, request.parent) == (CALLERS_TRACE, CALLERS_SPAN)
    names = {span.name for span in told.collector.trace(CALLERS_TRACE)}
    assert {"POST /leads", "inbox.commit", "publish leads.process", "leads.process", "leads.batch"} <= names


def test_what_the_caller_does_not_sample_is_not_sent(told: Told) -> None:
    assert told.collector.trace(UNSAMPLED_TRACE) == []
    assert not [span for span in told.requests() if span.attributes["leadger.request_id"] == "unsampled"]
    assert not [span for span in told.collector.named("leads.process") if "unsampled" in str(span.attributes)]


def test_a_refusal_names_the_route_and_no_id(told: Told) -> None:
    refused = told.request("refused")
    assert (refused.name, refused.attributes["http.response.status_code"], refused.failed) == (
        "POST /leads",
        400,
        False,
    )
    seen = {(span.name, span.attributes["http.response.status_code"]) for span in told.requests()}
    assert {("GET /leads", 200), ("GET /leads/{lead_id:path}", 200), ("GET", 404), ("GET /leads", 401)} <= seen
    assert ("_OTHER /leads", 405) in seen


def test_a_background_task_is_in_the_trace_of_its_request(told: Told) -> None:
    request = told.request("rebuild")
    task = told.child(told.child(request, "publish tasks.run"), "tasks.run")
    assert task.service == "leadger-worker"
    done = [line for line in told.log if line["event"] == "task_done"]
    assert sorted(line["kind"] for line in done) == ["rebuild", "rebuild_share"]
    assert {(line["request_id"], line["trace_id"]) for line in done} == {("rebuild", request.trace)}


def test_beat_begins_traces(told: Told) -> None:
    rings = told.collector.named("publish reports.snapshot")
    assert {(ring.service, ring.parent) for ring in rings} == {("leadger-beat", "")}
    tasks = told.collector.named("reports.snapshot")
    assert tasks
    assert {task.service for task in tasks} == {"leadger-worker"}
    assert {task.parent for task in tasks} <= {ring.id for ring in rings}


def test_every_span_hangs_together(told: Told) -> None:
    ids = {(span.trace, span.id) for span in told.collector.spans}
    assert len(ids) == len(told.collector.spans)
    roots = set()
    for span in told.collector.spans:
        if not span.parent:
            roots.add(span.name.partition(" ")[0])
        elif span.parent != CALLERS_SPAN:
            assert (span.trace, span.parent) in ids, span
    assert roots <= {"GET", "POST", "_OTHER", "publish"}, "what nobody asked for is no trace"


def test_log_lines_tell_the_trace_and_the_request(told: Told) -> None:
    lines = [line for line in told.log if line["event"] == "leads_decided"]
    traces = {span.trace for span in told.collector.named("leads.batch")}
    assert len(lines) >= 3
    for line in lines:
        assert line["request_id"], line
        assert line.get("trace_id") in traces or line["request_ids"] == ["unsampled"], line
    (alone,) = [line for line in lines if line["request_ids"] == ["alone"]]
    assert (alone["request_id"], alone["trace_id"]) == ("alone", told.request("alone").trace)


def test_a_tasks_ids_are_gone_when_the_next_one_begins(told: Told) -> None:
    lines = [line for line in told.log if line["event"] == "reports_snapshot"]
    assert lines
    for line in lines:
        assert not {"request_id", "task_id", "background_task_id"} & set(line), line


@pytest.mark.parametrize("what", [*PERSONAL, *(name.upper() for name in PERSONAL)])
def test_nothing_personal_is_sent(told: Told, what: str) -> None:
    assert what.encode() not in told.collector.raw


def test_no_secret_is_sent(told: Told) -> None:
    assert len(told.collector.raw) > 100_000
    for secret in told.secrets:
        assert secret.encode() not in told.collector.raw


def test_there_are_no_requests_of_machines(told: Told) -> None:
    assert not [span for span in told.requests() if span.attributes["http.route"] in ("/ready", "/health", "/metrics")]
