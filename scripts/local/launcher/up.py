"""`leadger up`: starts everything, bills the samples, prints the reports, and stays up."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import redis
from pydantic import ValidationError
from rich.console import Console

from db.core.errors import DATABASE_ERRORS
from db.core.migrate import upgrade
from db.core.settings import Settings
from scripts.client import Client, ClientError, Unfinished
from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port, require_free
from scripts.local.embedded.postgres import prepare_postgres
from scripts.local.embedded.valkey import prepare_valkey
from scripts.local.first_admin import first_admin
from scripts.local.first_key import development_key
from scripts.local.launcher import commands
from scripts.local.launcher.flower import flower_login
from scripts.local.launcher.home import DevEnv, Home, add_logins, hold_home, message, read_dev_env, write_dev_env
from scripts.local.launcher.leftovers import end_leftovers, mark
from scripts.local.launcher.supervisor import Supervisor
from scripts.local.launcher.watch import CodeWatch
from scripts.samples.sample_bills import name_seller
from scripts.samples.sample_leads import load, print_reports
from scripts.samples.sample_people import make_people

_START_S = 180.0
"""Enough for a machine that is busy with something else; what ends by itself is told at once."""
_RELOADED = ("api", "worker", "background", "beat")


@dataclass(frozen=True)
class Servers:
    """Where the database and the queue are."""

    database_url: str
    redis_url: str


def up(port: int, home: Path, *, once: bool, samples: bool | None = None, reload: bool, console: Console) -> int:
    """Run Leadger on 127.0.0.1:`port` with its data in `home` until Ctrl-C or SIGTERM; the exit status.

    `samples`: bill the sample leads and print their reports; None: only where the database is not the operator's own
    (DATABASE_URL). `once`: end when everything is up and printed. `reload`: start API, workers and beat again when the
    code changes. The status is 0 after an orderly end, 1 with one message on standard error for what keeps it
    from starting, and 130 if it was stopped before it was up.
    """
    # A closed terminal and a plain kill end everything in order, like Ctrl-C, which shells turn off in the
    # background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with hold_home(home, _url(port)) as held:
            _run(port, held, once, samples, reload, console)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (CannotStart, ClientError) as error:
        print(f"leadger: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"leadger: {message(error, home)}", file=sys.stderr)
        return 1
    return 0


def _run(port: int, home: Home, once: bool, samples: bool | None, reload: bool, console: Console) -> None:
    settings = _settings(home)
    end_leftovers(home.path)
    require_free(port)
    with Supervisor(home.logs, console) as supervisor:
        servers = _start_servers(supervisor, home)
        _migrate(servers.database_url)
        _require_redis(servers.redis_url)
        processes_env = _environment(home, servers, settings.log_level, port)
        _start_leadger(supervisor, home, port, processes_env)
        wait_until(lambda: _is_ready(port), supervisor, "The API")
        known = read_dev_env(home.path)
        key = development_key(servers.database_url, home.path)
        env = DevEnv(_url(port), key, known.logins if known else {})
        write_dev_env(home, env)
        if admin := first_admin(servers.database_url) if is_database_of_ours() else None:
            add_logins(home, {"admin": admin})
        if bills_samples(samples):
            with Client(env.url, env.api_key) as client:
                try:
                    load(client)
                except Unfinished as unfinished:  # in a pause, or behind many leads
                    console.print(str(unfinished), soft_wrap=True, highlight=False)
                name_seller(client)
                add_logins(home, make_people(client))
                print_reports(client, console)
        else:
            console.print("The sample leads were not billed into this database; --samples does that.")
        if not once:
            # Only now, because Flower asks the workers once, when it starts.
            flower_port, login = free_port(), flower_login(home.path)
            supervisor.start("flower", commands.flower(flower_port, login, processes_env))
            _print_addresses(console, home, env, f"http://127.0.0.1:{flower_port}", login, admin)
            with suppress(KeyboardInterrupt):
                _stay(supervisor, reload)


def is_database_of_ours() -> bool:
    """Whether the database is the embedded one and no operator's."""
    return not os.environ.get("DATABASE_URL")


def bills_samples(asked: bool | None) -> bool:
    """Whether to bill the samples: into a database of an operator only if that was asked for."""
    return is_database_of_ours() if asked is None else asked


def _settings(home: Home) -> Settings:
    """Check the environment before anything is started; the servers' addresses may still be unknown."""
    try:
        return Settings.model_validate(
            {
                "database_url": os.environ.get("DATABASE_URL") or "postgresql://embedded",
                "redis_url": os.environ.get("REDIS_URL") or "redis://embedded",
                "home": home.path,
            }
        )
    except ValidationError as error:
        reasons = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        reasons = reasons.replace("Value error, ", "")  # pydantic's words before ours
        raise CannotStart(f"A setting in the environment cannot be used: {reasons}.") from None


def _start_servers(supervisor: Supervisor, home: Home) -> Servers:
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if not database_url:
        postgres = prepare_postgres(home.postgres)
        command = replace(postgres.command, env=mark(home.path))
        supervisor.start("postgres", command, before=postgres.clear_leftovers)
        wait_until(postgres.is_ready, supervisor, "PostgreSQL")
        database_url = postgres.url
    if not redis_url:
        valkey = prepare_valkey(home.valkey)
        supervisor.start("valkey", replace(valkey.command, env=mark(home.path)))
        wait_until(valkey.is_ready, supervisor, "Valkey")
        redis_url = valkey.url
    return Servers(database_url, redis_url)


def _migrate(database_url: str) -> None:
    try:
        upgrade(database_url)
    except DATABASE_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise CannotStart(f"The database at {_place(database_url)} cannot be used: {reason}") from None


def _require_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            raise CannotStart(f"Redis at {_place(redis_url)} cannot be used: {error}") from None


def _environment(home: Home, servers: Servers, log_level: str, port: int) -> dict[str, str]:
    return {
        "API_BASE_URL": os.environ.get("API_BASE_URL") or _url(port),
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "LEADGER_HOME": str(home.path),
        "LOG_LEVEL": log_level,
    } | mark(home.path)


def _start_leadger(supervisor: Supervisor, home: Home, port: int, env: dict[str, str]) -> None:
    supervisor.start("worker", commands.worker(env))
    supervisor.start("background", commands.background(env))
    supervisor.start("api", commands.api(port, env), before=lambda: require_free(port))
    supervisor.start("beat", commands.beat(home, env))


def wait_until(is_ready: Callable[[], bool], supervisor: Supervisor, what: str, patience_s: float = _START_S) -> None:
    """Return when it is ready; raises CannotStart if that takes longer, or as soon as a process has given up."""
    deadline = time.monotonic() + patience_s
    while not is_ready():
        if time.monotonic() > deadline:
            raise CannotStart(
                f"{what} did not become ready within {patience_s:.0f} seconds. What it said is above, and in the logs "
                "of the home folder; on a busy machine the same command may get further."
            )
        supervisor.wait(0.05)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"{_url(port)}/ready", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _stay(supervisor: Supervisor, reload: bool) -> None:
    if not reload:
        supervisor.wait()
    code = CodeWatch()
    while True:
        supervisor.wait(1)
        if changed := code.changed():
            supervisor.say(f"{', '.join(map(str, changed[:3]))} changed; starting {', '.join(_RELOADED)} again")
            for name in _RELOADED:
                supervisor.restart(name)


def _print_addresses(
    console: Console, home: Home, env: DevEnv, flower_url: str, login: str, admin: tuple[str, str] | None
) -> None:
    rows = {
        "API": env.url,
        "Pages": f"{env.url}/welcome",
        "API docs": f"{env.url}/docs",
        "Flower": f"{flower_url} (user and password: {login.replace(':', ', ')})",
        "Key": f"{env.api_key} (also in {home.dev_env})",
        "Admin": f"{', '.join(admin)} (shown only now; logins are kept in {home.dev_env})" if admin else None,
        "Logs": str(home.logs),
    }
    console.print("\nLeadger is up; Ctrl-C stops it.", style="bold")
    for name, value in rows.items():
        if value:
            console.print(f"  {name:<10}{value}", soft_wrap=True, markup=False, highlight=False)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _place(url: str) -> str:
    """Where a server is, without the user's name and password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
