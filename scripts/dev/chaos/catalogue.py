"""Every fault of section 8 of the design."""

from scripts.dev.chaos import bills, callers, deliveries, environment, events, kills, runs, schedules, servers
from scripts.dev.chaos.scene import Fault

_SLOW_REBUILD = "scripts.dev.chaos.slow_rebuild"
_SLOW_RUN = "scripts.dev.chaos.slow_run"
_HASTY_BEAT = "scripts.dev.chaos.hasty_beat"

FAULTS = (
    Fault("worker-child-killed", "kill -9 of a child of the worker", 50, kills.worker_child),
    Fault("worker-killed", "kill -9 of the worker", 20, kills.worker),
    Fault("api-killed", "kill -9 of the API", 20, kills.api),
    Fault("supervisor-killed", "kill -9 of `leadger up`", 5, kills.supervisor, is_up=True),
    Fault("restarts", "SIGTERM to workers, API and beat in turn", 100, kills.restarts),
    Fault("redis-emptied", "Redis killed and emptied", 10, servers.redis_emptied),
    Fault("redis-frozen", "Redis frozen for 8 s; acceptance goes on", 1, servers.redis_frozen(8)),
    Fault("redis-frozen-120", "Redis frozen for 120 s; acceptance goes on", 1, servers.redis_frozen(120)),
    Fault("redis-full", "Redis out of memory", 3, servers.redis_full),
    Fault("postgres-killed", "Postgres killed; 503 + Retry-After", 10, servers.postgres_killed),
    Fault("cut-at-commit", "connection cut at COMMIT", 20, servers.cut_at_commit, proxied=True),
    Fault("table-lost", "a table is missing for 4 s", 5, environment.table_lost),
    Fault("failover", "the server is read-only, then writes again", 10, environment.failover),
    Fault("folder-unwritable", "the report folder is none", 3, environment.folder_unwritable),
    Fault("folder-full", "the report folder is on a full disk", 3, environment.folder_full),
    Fault("slow-senders", "40 connections send part of a large body and stop", 2, callers.slow_senders),
    Fault("slow-readers", "8 clients stop reading a download", 2, callers.slow_readers),
    Fault("crowded-bodies", "8 gzip bodies of millions of tiny items at once", 5, callers.crowded_bodies),
    Fault("silent-connections", "1,000 connections that say nothing", 5, callers.silent_connections),
    Fault("lock-waiters", "8 holds and releases wait for a locked customer", 5, callers.lock_waiters),
    Fault("three-times", "every batch delivered three times", 10, deliveries.three_times),
    Fault("ten-at-once", "the same lead in ten concurrent batches", 20, deliveries.ten_at_once),
    Fault("one-customer", "one customer under 64 concurrent batches", 5, deliveries.one_customer),
    Fault("reversed-order", "batches in reversed order", 5, deliveries.reversed_order),
    Fault("poison", "a poison lead in 500", 5, deliveries.poison, app="scripts.dev.chaos.poisoned_worker"),
    Fault("fail-together", "leads that fail only together", 5, environment.fail_together),
    Fault("beat-twice", "beat twice", 5, schedules.beat_twice),
    Fault("beat-absent", "beat absent for three intervals", 3, schedules.beat_absent),
    Fault("events", "rebuild, close and reopen during ingestion", 3, events.events),
    Fault("rebuild-killed", "kill -9 of one of two workers at a rebuild", 10, events.rebuild_killed, app=_SLOW_REBUILD),
    Fault("monthly-run-killed", "kill -9 at every step of a monthly run", 20, runs.monthly_run_killed, app=_SLOW_RUN),
    Fault("months-without-beat", "beat absent for three months", 1, runs.months_without_beat, app=_HASTY_BEAT),
    Fault("bills-killed", "kill -9 of a background worker that makes bills and sends them", 3, bills.killed),
)
ONLY_FULL = ("redis-frozen-120",)
"""Faults that take minutes by themselves; without `--full` they run when they are named."""


def fault(name: str) -> Fault:
    """The fault of this name; KeyError if there is none."""
    return {each.name: each for each in FAULTS}[name]
