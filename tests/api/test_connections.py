"""Connections that say nothing, and idle ones, to the API in a process of its own."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from scripts.local.processes.process import Process

_ASK = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def address(shared_server: tuple[str, Process]) -> tuple[str, int]:
    parts = urlsplit(shared_server[0])
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def test_connections_that_say_nothing_keep_nobody_out(
    shared_server: tuple[str, Process], address: tuple[str, int]
) -> None:
    with ExitStack() as silent:
        for number in range(1200):
            connection = silent.enter_context(socket.create_connection(address, timeout=5))
            if number % 2:
                connection.sendall(b"POST /leads HTT")
        started = time.monotonic()
        assert httpx.get(f"{shared_server[0]}/health", timeout=5, trust_env=False).status_code == 200
        assert time.monotonic() - started < 2


@pytest.mark.slow
def test_idle_connections_outlast_a_load_balancer_and_are_closed_in_the_end(address: tuple[str, int]) -> None:
    """Case 60: the load balancer sends a request on a connection that has been idle for 35 s."""
    with ExitStack() as stack:
        silent, idle = (stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(2))
        idle.sendall(_ASK)
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        time.sleep(38)
        idle.sendall(_ASK)
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert silent.recv(4096) == b""
        assert time.monotonic() - started < 20
        assert idle.recv(4096) == b""
