"""The client waits as long as it is asked to, sends the same again, and gives up with one message."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from billing.lead_files.lead_entries import Entry, Line
from scripts.cli.ingest.upload import Intake
from scripts.client import Client, Refused
from scripts.local.embedded import valkey
from tests.databases import copy_statement, execute, url_of_database
from tests.stack import running_stack

Answer = tuple[int, dict[str, str]]


@contextmanager
def _server(answers: list[Answer]) -> Iterator[tuple[str, list[tuple[float, bytes]]]]:
    """A server that gives these answers, one by one; its URL, and what it received when."""
    received: list[tuple[float, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((time.monotonic(), self.rfile.read(int(self.headers["Content-Length"]))))
            status, headers = answers.pop(0)
            body = json.dumps({"detail": "Too many leads wait."}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [429, 503])
def test_the_same_is_sent_again_after_the_time_that_is_named(status: int) -> None:
    answers: list[Answer] = [(status, {"Retry-After": "1"}), (status, {"Retry-After": "2"}), (202, {})]
    with _server(answers) as (url, received), Client(url, "key") as client:
        client.post_ndjson("/leads", b'{"lead_id": "1"}')
    (first, body), (second, again), (third, once_more) = received
    assert body == again == once_more == b'{"lead_id": "1"}'
    assert 1 <= second - first < 1.8
    assert 2 <= third - second < 2.8


@pytest.mark.parametrize("after", ["60", "inf", "1e9"])
def test_a_wait_beyond_its_patience_is_refused_at_once_in_the_words_of_the_api(after: str) -> None:
    began = time.monotonic()
    with (
        _server([(429, {"Retry-After": after})]) as (url, received),
        Client(url, "key", patience_s=5) as client,
        pytest.raises(Refused, match=r"^Too many leads wait\.$") as refused,
    ):
        client.post("/leads", {})
    assert refused.value.status == 429
    assert len(received) == 1
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-3"}, {"Retry-After": "0"}])
def test_without_a_time_it_waits_a_moment(headers: dict[str, str]) -> None:
    with _server([(429, headers), (202, {})]) as (url, received), Client(url, "key") as client:
        client.post("/leads", {})
    assert 0.1 <= received[1][0] - received[0][0] < 1.3


def _entry(number: int) -> Entry:
    wire = {
        "lead_id": f"lead {number}",
        "customer_id": "ann",
        "customer": {"name": "Ann", "email": "ann@example.com"},
        "product_id": "widget",
        "lead_type": "Event",
        "actions": [{"action_type": "Click", "engagement_level": "Low", "timestamp": "2024-04-01T10:00:00Z"}],
    }
    body = json.dumps(wire).encode()
    return Entry(body, (Line(number + 1, body),))


@pytest.mark.slow
def test_ingestion_goes_on_when_the_inbox_has_room_again(
    server_url: str, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a real Leadger with a small inbox: everything arrives, once, in spite of refusals."""
    statuses: list[int] = []
    request: Callable[..., httpx.Response] = httpx.Client.request

    def noting(self: httpx.Client, *what: object, **how: object) -> httpx.Response:
        response = request(self, *what, **how)
        if what == ("POST", "/leads"):
            statuses.append(response.status_code)
        return response

    monkeypatch.setattr(httpx.Client, "request", noting)
    execute(server_url, copy_statement("test_small_inbox", template))
    url = url_of_database(server_url, "test_small_inbox")
    limit = {"LEADGER_MAX_INBOX_LEADS": "1500"}
    with (
        valkey(tmp_path / "valkey", durable=False) as redis_url,
        running_stack(url, redis_url, tmp_path / "home", **limit) as stack,
        Client(stack.url, stack.key) as client,
    ):
        client.post("/api/workers/pause", {"reason": "so that the inbox fills"})
        client.post("/api/partners", {"external_id": "acme", "name": "Acme"})
        client.post("/api/products", {"external_id": "widget", "partner": "acme", "name": "Widget"})
        intake = Intake(client)
        resume = threading.Timer(1.0, lambda: client.post("/api/workers/resume"))
        resume.start()
        for number in range(2000):
            intake.add(_entry(number))
        intake.flush()
        assert intake.follow(30)
        resume.join()
    execute(server_url, "DROP DATABASE test_small_inbox WITH (FORCE)")
    assert statuses == [202, 429, 202]
    assert (intake.counts.accepted, intake.counts.rejected, intake.counts.leads["new"]) == (2000, 0, 2000)
