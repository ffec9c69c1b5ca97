"""TCP ports of 127.0.0.1."""

import errno
import random
import socket

from scripts.errors import CannotStart

_HOST = "127.0.0.1"
# Below the range from which the kernel takes ports for outgoing connections (from 32768): a server that dies
# and is started again finds its port still free.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """A port that nobody listens on now, picked at random.

    Raises CannotStart if 200 tries find none.
    """
    for port in random.sample(_RANGE, 200):
        if _refusal(port) is None:
            return port
    raise CannotStart(f"No free TCP port was found on {_HOST} between {_RANGE.start} and {_RANGE.stop}.")


def require_free(port: int) -> None:
    """Raise CannotStart, naming another way, unless a server could listen on this port.

    The API's server would share a port that another one of its kind holds without a word, so it has to be
    asked before.
    """
    if not 0 < port < 65_536:
        raise CannotStart(f"{port} is not a port: choose one between 1 and 65535 with --port.")
    match _refusal(port):
        case None:
            return
        case errno.EADDRINUSE:
            reason = "is already taken by another program"
        case errno.EACCES:
            reason = "may only be opened by root"
        case code:
            reason = f"cannot be opened ({errno.errorcode.get(code, code)})"
    raise CannotStart(f"Port {port} of {_HOST} {reason}; choose another one with --port.")


def _refusal(port: int) -> int | None:
    with socket.socket() as probe:
        # Lets connections that are still closing pass, but no listening server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None
