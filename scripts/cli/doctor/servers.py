"""What `leadger doctor` asks PostgreSQL, Redis, the workers and beat."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import redis
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from db.core.engine import create_engine, transaction
from db.core.errors import DATABASE_ERRORS
from db.core.settings import Settings
from db.masters import text_findings
from db.tasks.notifications import BACKGROUND, LEADS, SWEEP, broker_configuration
from db.telemetry import health
from scripts.cli.doctor.findings import Finding, broken, fine, unknown, warning

PATIENCE_S = 3.0
_PING_S = 1.0
_PINGS = 4
_MOST_SKEW_S = 5
_LEAST_POSTGRES = 15
_LONGEST_SWEEP_S = 10.0


def database(settings: Settings) -> Iterator[Finding]:
    """Whether Postgres answers, is new enough, has the newest schema, and knows the time."""
    try:
        yield from asyncio.run(_database(settings))
    except (*DATABASE_ERRORS, ValueError) as error:
        reason = str(error).partition("\n")[0] or "it does not answer"
        yield broken("Database", reason, "start PostgreSQL, or correct DATABASE_URL")


def queue(settings: Settings) -> Finding:
    """Whether Redis answers and keeps what it is given."""
    try:
        with redis.Redis.from_url(
            settings.redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
        ) as client:
            facts = client.info()
    except (RedisError, ValueError) as error:
        return broken("Redis", str(error), "start Redis, or correct REDIS_URL; until then the API only accepts leads")
    detail = f"version {facts.get('redis_version', 'unknown')}, {facts.get('used_memory_human', 'unknown')} in use"
    if facts.get("maxmemory") and facts.get("maxmemory_policy") != "noeviction":
        return warning("Redis", f"{detail}; it may throw messages away", "set its maxmemory-policy to noeviction")
    return fine("Redis", detail)


def worker(settings: Settings) -> Finding:
    """Whether Celery workers answer, and whether some take leads and some take background tasks."""
    try:
        with _celery(settings) as app:
            inspect = app.control.inspect(timeout=_PING_S)
            queues: dict[str, set[str]] = {}
            for _ in range(_PINGS):  # one that has just been started, or is very busy, answers only a later one
                for name, taken in (inspect.active_queues() or {}).items():
                    queues[name] = {queue["name"] for queue in taken}
                missing = {LEADS, BACKGROUND}.difference(*queues.values())
                if not missing:
                    break
    except (OSError, RedisError, KombuError) as error:
        return unknown("Worker", f"the ping could not be sent: {error}", "see Redis")
    if not queues:
        return broken(
            "Worker", "none answers", "start one: `celery -A worker.app worker`, or `scripts/run` for everything"
        )
    if missing:
        names = ",".join(sorted(missing))
        fix = f"start one: `celery -A worker.app worker --queues {names}`, or `scripts/run` for everything"
        return broken("Worker", f"none takes the queue `{names}`", fix)
    return fine("Worker", f"{len(queues)} answer{'s' if len(queues) == 1 else ''}: {', '.join(sorted(queues))}")


def beat(settings: Settings) -> Finding:
    """Whether beat runs: the workers count the sweeps they were sent, and one comes every few seconds."""
    if settings.sweep_interval_s > _LONGEST_SWEEP_S:
        return unknown(
            "Beat", f"it starts the sweeper only every {settings.sweep_interval_s:g} s", "watch `leads.sweep` in Flower"
        )
    try:
        with _celery(settings) as app:
            before, deadline = _sweeps(app), time.monotonic() + 2 * settings.sweep_interval_s + _PING_S
            while before is not None and time.monotonic() < deadline:
                time.sleep(0.5)
                if _sweeps(app) != before:
                    return fine("Beat", f"it starts the sweeper every {settings.sweep_interval_s:g} s")
    except (OSError, RedisError, KombuError) as error:
        return unknown("Beat", f"the workers could not be asked: {error}", "see Redis")
    if before is None:
        return unknown("Beat", "no worker is there to count the sweeps it starts", "see Worker")
    return broken(
        "Beat",
        "nobody starts the sweeper",
        "start one, and only one: `celery -A worker.app beat`, or `scripts/run` for everything",
    )


async def _database(settings: Settings) -> list[Finding]:
    engine = create_engine(settings, "leadger-doctor", pool_size=1)
    try:
        async with asyncio.timeout(PATIENCE_S), transaction(engine, readonly=True) as connection:
            major = connection.get_server_version().major
            missing = await health.missing_migrations(connection)
            now = await health.clock(connection)
            size = await health.server_size(connection)
            found = {} if missing else await text_findings.count(connection)
    finally:
        await engine.dispose()
    findings = [fine("Database", f"PostgreSQL {major} answers; {size}")]
    if major < _LEAST_POSTGRES:
        fix = f"move to PostgreSQL {_LEAST_POSTGRES} or newer"
        findings = [broken("Database", f"PostgreSQL {major} is too old", fix)]
    findings.append(
        broken("Schema", missing, "run `alembic upgrade head`, or start Leadger with `scripts/run`")
        if missing
        else fine("Schema", "it is the newest")
    )
    if found:
        detail = ", ".join(f"{number} of kind {kind}" for kind, number in found.items())
        fix = "look at them in the table text_findings (docs/operations.md); delete a row to be done with it"
        findings.append(warning("Texts", f"what an older release stored reads otherwise now: {detail}", fix))
    apart_s = abs((datetime.now(UTC) - now).total_seconds())
    if apart_s > _MOST_SKEW_S:
        detail = f"this machine's and the database's are {apart_s:.0f} s apart"
        findings.append(warning("Clock", detail, "let both follow a time server (NTP)"))
    return findings


def _celery(settings: Settings) -> Celery:
    app = Celery("leadger-doctor", set_as_current=False)
    app.conf.update(broker_configuration(settings))
    return app


def _sweeps(app: Celery) -> int | None:
    """How many sweeps the workers of now have had; None if there are no workers."""
    answers = app.control.inspect(timeout=_PING_S).stats()
    return sum(answer["total"].get(SWEEP, 0) for answer in answers.values()) if answers else None
