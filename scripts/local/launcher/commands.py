"""The commands that `leadger up` supervises beside the servers."""

import sys
from pathlib import Path

from db.tasks.notifications import BACKGROUND, LEADS, LEGACY
from scripts.local.launcher.home import Home
from scripts.local.processes.process import Command

_ROOT = Path(__file__).parents[3]


def api(port: int, env: dict[str, str]) -> Command:
    """The API on a port of 127.0.0.1."""
    options = ("--interface", "asgi", "--factory", "--workers", "1", "--no-ws", "--respawn-failed-workers")
    address = ("--host", "127.0.0.1", "--port", str(port))
    level = ("--log-level", env["LOG_LEVEL"].lower())
    # What it has begun it answers, and a request waits for a lock of the database for up to 30 s.
    return _python("api", *options, *address, *level, "api.app:create_app", env=env, grace_s=30)


def worker(env: dict[str, str]) -> Command:
    """A worker for leads with three processes: on two cores, while one of them waits for Postgres, two do not."""
    return _worker("worker", ",".join((LEADS, LEGACY)), processes=3, env=env)


def background(env: dict[str, str]) -> Command:
    """A worker for background tasks with two processes, so that both can judge the customers of a report again."""
    return _worker("background", BACKGROUND, processes=2, env=env)


def beat(home: Home, env: dict[str, str]) -> Command:
    """Beat: it starts the sweeper, snapshots and invariants when they are due."""
    return _worker_command("beat", "--schedule", str(home.beat_schedule), "--pidfile=", env=env)


def flower(port: int, login: str, env: dict[str, str]) -> Command:
    """Flower on a port of 127.0.0.1, for whoever knows the login, `user:password`."""
    # In the environment, because everybody on the machine can read a command line. Flower waits for its threads when
    # asked to stop; it holds nothing that is worth waiting for.
    secret = env | {"FLOWER_BASIC_AUTH": login}
    options = ("--address=127.0.0.1", f"--port={port}", "--conf=worker/flower_config.py")
    return _python("celery", "--quiet", "-A", "worker.app", "flower", *options, env=secret, grace_s=3)


def _worker(name: str, queues: str, *, processes: int, env: dict[str, str]) -> Command:
    """A Celery worker; two on one host need different names."""
    names = ("--hostname", f"{name}@%h", "--queues", queues)
    options = ("--concurrency", str(processes), "--without-mingle", "--without-gossip")
    # A batch that is being billed may end; one that is cut off is billed again later, at the price of the time.
    return _worker_command("worker", *names, *options, env=env, grace_s=30)


def _worker_command(*words: str, env: dict[str, str], grace_s: float = 10) -> Command:
    return _python("worker.command", "worker.app", *words, env=env, grace_s=grace_s)


def _python(module: str, *words: str, env: dict[str, str], grace_s: float = 10) -> Command:
    return Command((sys.executable, "-m", module, *words), env=env, cwd=_ROOT, grace_s=grace_s)
