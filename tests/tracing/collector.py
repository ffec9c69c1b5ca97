"""A collector of traces for tests: receives OTLP over HTTP, or misbehaves."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """One span as it was received; ids are hexadecimal, `parent` is empty for the first one of a trace."""

    service: str
    instance: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    failed: bool
    events: int


@dataclass
class Collector:
    """Where it listens and what it received."""

    endpoint: str = ""
    silent: bool = False
    """Accepts connections and never answers."""

    status: int = 200
    requests: int = 0
    raw: bytes = b""
    spans: list[Span] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The variables that have a process send its traces here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "NO_PROXY": "127.0.0.1",
        }

    def named(self, name: str) -> list[Span]:
        """The spans with a name."""
        return [span for span in self.spans if span.name == name]

    def trace(self, trace: str) -> list[Span]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    def wait_for(self, condition: "Callable[[Collector], Any]", timeout_s: float = 15.0) -> Any:
        """The condition's value as soon as it is true."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition(self)):
            assert time.monotonic() < deadline, sorted((span.service, span.name) for span in self.spans)
            time.sleep(0.05)
        return value

    def take(self, body: bytes) -> None:
        """Store the spans of a request."""
        self.raw += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
            self.spans += [
                Span(
                    service=resource["service.name"],
                    instance=resource["service.instance.id"],
                    name=span.name,
                    kind=span.kind,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    attributes={each.key: _value(each.value) for each in span.attributes},
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    events=len(span.events),
                )
                for of_scope in of_resource.scope_spans
                for span in of_scope.spans
            ]


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of 127.0.0.1."""
    collector = Collector()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests += 1
            if collector.silent:
                ended.wait()
                return
            if collector.status == 200:
                assert self.path == "/v1/traces"
                collector.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
