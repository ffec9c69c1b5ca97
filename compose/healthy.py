"""The health check of the image: exits 0 if what process 1 runs is alive, else 1 with a message.

Alive, not ready: a database that is away is no reason to replace a container. `/ready` tells the rest.
"""

import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_PATIENCE_S = 10
# Beat writes its schedule every three minutes.
_BEAT_SILENT_S = 600


def main() -> int:
    """Find out which of the image's roles runs here and ask it."""
    fault = fault_of(role_of(Path("/proc/1/cmdline").read_text().split("\0")))
    if fault:
        sys.stderr.write(f"leadger: {fault}\n")
    return 1 if fault else 0


def role_of(words: list[str]) -> str | None:
    """The role that a command line means; it may have an init process before it, which keeps the words of `start`."""
    return next((role for role in ("flower", "background", "worker", "beat", "api") if role in words), None)


def fault_of(role: str | None) -> str | None:
    """What is wrong with the process, as a message; nothing is known to be wrong with any other command."""
    match role:
        case "api":
            return _http_fault(int(os.environ["GRANIAN_PORT"]), "/health")
        case "flower":
            return _http_fault(int(os.environ["FLOWER_PORT"]), "/healthcheck")
        case "worker" | "background":
            return _worker_fault(role)
        case "beat":
            return _beat_fault()
        case _:
            return None


def _http_fault(port: int, path: str) -> str | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{path} on port {port} does not answer: {error}."
    finally:
        connection.close()
    return None if status == 200 else f"{path} on port {port} answers {status}."


def _worker_fault(role: str) -> str | None:
    from db.core.settings import Settings  # takes a moment, which the other roles need not wait for

    name = f"{role}@{socket.gethostname()}"
    command = ["celery", "inspect", "--timeout", "5", "--destination", name, "ping"]
    environment = {**os.environ, "CELERY_BROKER_URL": Settings().redis_url}
    try:
        # Its words are ours, but for the host's name.
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"the worker {name} could not be asked within {_PATIENCE_S} s."
    return None if done.returncode == 0 else f"the worker {name} does not answer."


def _beat_fault() -> str | None:
    written = [path.stat().st_mtime for path in Path(os.environ["LEADGER_HOME"]).glob("beat-schedule*")]
    silent_s = time.time() - max(written, default=0.0)
    return None if silent_s < _BEAT_SILENT_S else f"beat has not written its schedule for {silent_s:.0f} s."


if __name__ == "__main__":
    sys.exit(main())
