"""`python -m api`: granian, on its own options and variables, with processes that end when they are told to.

granian forks the process that serves, also to replace one that died. Until that one has loaded the app, a second or so,
it would go by the signal handlers that it inherited and ignore SIGTERM, and the server would wait for it for ever.
"""

import os
import signal

from granian.cli import entrypoint


def _use_default_signal_handlers() -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)


if __name__ == "__main__":
    os.register_at_fork(after_in_child=_use_default_signal_handlers)
    entrypoint()  # type: ignore[no-untyped-call]
