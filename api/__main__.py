"""`python -m api`: granian, on its own options and variables, with processes that end when they are told to.

granian forks the process that serves, also to replace one that died. Until that one has loaded the app, a second or so,
it would go by the signal handlers that it inherited and ignore SIGTERM, and the server would wait for it for ever.

Connections cost nothing but a file each, so thousands may be open: those that say nothing must not keep out the others.
"""

import _thread
import os
import resource
import signal
from typing import Any

from granian.cli import entrypoint
from granian.server.common import AbstractServer

_MOST_CONNECTIONS = 16_384
_OTHER_FILES = 512

_DEFAULTS = {
    # With both versions allowed, granian would wait for the first byte of a connection for ever.
    "GRANIAN_HTTP": "1",
    # Until a request's head has come, also on an idle connection: longer than load balancers keep theirs (30 to 40 s),
    # or they would send a request on one that is being closed.
    "GRANIAN_HTTP1_HEADER_READ_TIMEOUT": "45000",
    "GRANIAN_BACKLOG": "1024",
}


def _use_default_signal_handlers() -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)


def interrupt(server: Any, *_: Any) -> None:
    """Tell the server to end, from a thread of its own.

    The thread that a signal interrupts may hold the lock of the event, as in the moment of another signal, and would
    wait for itself for ever. A thread that is started like this takes no lock.
    """
    server.interrupt_signal = True
    _thread.start_new_thread(server.main_loop_interrupt.set, ())


def _allow_many_connections() -> int:
    """Raise the limit of open files as far as we may; returns how many connections fit in it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - _OTHER_FILES, most // 2)


if __name__ == "__main__":
    AbstractServer.signal_handler_interrupt = interrupt  # type: ignore[method-assign]
    os.register_at_fork(after_in_child=_use_default_signal_handlers)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("GRANIAN_BACKPRESSURE", str(_allow_many_connections()))
    entrypoint()  # type: ignore[no-untyped-call]
