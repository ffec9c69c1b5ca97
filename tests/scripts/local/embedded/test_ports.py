import socket

import pytest

from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port, require_free


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
)
def test_a_port_that_is_taken_is_refused_however_its_holder_listens(family: int, host: str) -> None:
    with socket.socket(family) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CannotStart) as refused:
            require_free(port)
    assert str(refused.value) == (
        f"Port {port} of 127.0.0.1 is already taken by another program; choose another one with --port."
    )
    require_free(port)


def test_a_port_whose_connections_are_still_closing_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    require_free(port)


def test_a_number_that_is_no_port_is_refused() -> None:
    with pytest.raises(CannotStart, match="70000 is not a port"):
        require_free(70_000)


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
