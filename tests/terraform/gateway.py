"""The way from an API Gateway to a container, as the emulator of AWS knows it, for real requests.

The emulator remembers routes, listeners and target groups and carries nothing; so this looks each request up in them,
as AWS says that an HTTP API chooses its route, and carries it to whoever answers for the container.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from tests.terraform.emulator import Emulator

_OF_THE_LAST_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Gateway:
    """The routes of an API by name, and where they lead: `containers` has the base URLs by container name and port."""

    def __init__(self, aws: Emulator, name: str, containers: dict[tuple[str, int], str]) -> None:
        self._aws = aws
        gateway = aws.client("apigatewayv2")
        (api,) = [each for each in gateway.get_apis()["Items"] if each["Name"] == name]
        self._cluster = name
        self._routes = gateway.get_routes(ApiId=api["ApiId"])["Items"]
        self._integrations = {
            f"integrations/{each['IntegrationId']}": each
            for each in gateway.get_integrations(ApiId=api["ApiId"])["Items"]
        }
        self._containers = containers

    def target_of(self, method: str, path: str) -> tuple[str, float] | None:
        """The base URL behind a request and for how many seconds it is waited for; None if no route takes it."""
        ranked = [(rank, each["Target"]) for each in self._routes if (rank := _rank(each["RouteKey"], method, path))]
        if not ranked:
            return None
        integration = self._integrations[max(ranked)[1]]
        return self._behind(integration["IntegrationUri"]), integration["TimeoutInMillis"] / 1000

    def _behind(self, listener_arn: str) -> str:
        balancing, ecs = self._aws.client("elbv2"), self._aws.client("ecs")
        (listener,) = balancing.describe_listeners(ListenerArns=[listener_arn])["Listeners"]
        (action,) = listener["DefaultActions"]
        services = ecs.list_services(cluster=self._cluster)["serviceArns"]
        found = ecs.describe_services(cluster=self._cluster, services=services)["services"]
        (joined,) = [
            each
            for service in found
            for each in service["loadBalancers"]
            if each["targetGroupArn"] == action["TargetGroupArn"]
        ]
        return self._containers[joined["containerName"], joined["containerPort"]]


def _rank(key: str, method: str, path: str) -> tuple[int, int, int] | None:
    """How well a route fits a request: an exact path first, then a longer one, then a method before ANY; None: not."""
    route_method, _, route_path = key.partition(" ")
    if route_method not in ("ANY", method):
        return None
    prefix, greedy, _ = route_path.partition("{proxy+}")
    fits = re.fullmatch(re.escape(prefix) + ".+", path) if greedy else route_path == path
    return (int(not greedy), len(prefix), int(route_method != "ANY")) if fits else None


@contextmanager
def open_gateway(gateway: Gateway) -> Iterator[str]:
    """The URL at which the gateway listens."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _carry(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = gateway.target_of(self.command, self.path.partition("?")[0])
            if target is None:
                self._answer(404, {"Content-Type": "application/json"}, b'{"message":"Not Found"}')
                return
            url, patience_s = target
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_LAST_HOP}
            headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "http"}
            asked: dict[str, Any] = {"headers": headers, "content": body, "timeout": patience_s}
            try:
                with httpx.stream(self.command, url + self.path, **asked) as got:
                    self._answer(got.status_code, got.headers.multi_items(), b"".join(got.iter_raw()))
            except httpx.TimeoutException:
                self._answer(503, {"Content-Type": "application/json"}, b'{"message":"Service Unavailable"}')

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # whatever the method
                return self._carry
            raise AttributeError(name)

        def _answer(self, status: int, headers: Any, content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items() if isinstance(headers, dict) else headers:
                if name.lower() not in _OF_THE_LAST_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
