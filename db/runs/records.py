"""Runs as rows: who asked for which periods of whom, and what became of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from billing.money import amount_from_minor
from billing.runs import Outcome, retry_after_s
from billing.webhooks.events import Event
from db.core.actor import Actor, actor_from_row
from db.core.unit_of_work import UnitOfWork
from db.masters import partners
from db.outgoing import events
from db.tasks import records as tasks
from db.telemetry import counters

KIND = "billing_run"
"""The kind of the background task of a run."""

PORTION = "billing_run_portion"
"""The kind of the tasks that a run is divided into."""

LARGE_ACTIONS = 10_000
"""A partner with more actions in a month is billed by itself; its leads are kept out only while the month closes."""

REPORT_TO_GITHUB = "report_to_github"
"""The kind of the task that tells GitHub how a run ended."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run shall bill: the periods through one of some partners; None is every period that is due, and everybody.

    `trigger` says what started it, `source` in the words of whoever did. With a `key`, a second run is the first one.
    `commit` is that of GitHub's which started it.
    """

    trigger: str
    period: int | None = None
    partner_ids: Sequence[UUID] | None = None
    dry_run: bool = False
    source: str | None = None
    key: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run; `planned_at` is when it was settled what it bills. With an `error` it ended before all was billed."""

    id: UUID
    asked: Asked
    who: Actor
    started_at: datetime
    planned_at: datetime | None
    completed_at: datetime | None
    error: str | None

    @property
    def request_id(self) -> str:
        """What its transactions are done on behalf of."""
        return f"billing-run-{self.id}"

    @property
    def state(self) -> str:
        """`waiting`, `running`, `done` or `failed`."""
        if self.completed_at:
            return "failed" if self.error else "done"
        return "running" if self.planned_at else "waiting"


@dataclass(frozen=True, slots=True)
class Item:
    """A partner's period in a run, and what became of it; `actions` is how many it has, about."""

    id: UUID
    run_id: UUID
    partner_id: UUID
    partner: str
    partner_name: str
    currency: str
    period: int
    actions: int
    attempts: int
    next_attempt_at: datetime | None
    outcome: Outcome | None
    bill_id: UUID | None
    bill_state: str | None
    gross_minor: int | None
    note: str | None
    error: str | None
    finished_at: datetime | None

    @property
    def place(self) -> tuple[str, int]:
        """Where it stands among the items of its run."""
        return self.partner, self.period

    @property
    def is_large(self) -> bool:
        """Whether it is of a partner with very many actions in the month."""
        return self.actions > LARGE_ACTIONS


@dataclass(frozen=True, slots=True)
class Result:
    """How an item ended. `note` says why a bill is no further, or why there is none."""

    outcome: Outcome
    bill_id: UUID | None = None
    bill_state: str | None = None
    gross_minor: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How many items a run has, how they ended, how many have an error, and the gross amounts by currency."""

    total: int
    failing: int
    ended: Mapping[Outcome, int]
    gross_minor: Mapping[str, int]

    @property
    def processed(self) -> int:
        """How many have ended."""
        return sum(self.ended.values())


ITEMS = """
    SELECT items.id, run_id, partner_id, external_id AS partner, name AS partner_name, currency, items.period,
        actions, attempts, next_attempt_at, outcome, bill_id, bill_state, gross_minor, note, error, finished_at
    FROM billing_run_items AS items JOIN partners ON partners.id = partner_id
"""
"""Items with what is known of their partners, as `item_from_row` reads them."""


async def start(uow: UnitOfWork, asked: Asked) -> UUID:
    """Start a run, whose task is announced after the commit; returns its id. One with a known key starts nothing."""
    run_id: UUID | None = await uow.connection.fetchval(
        """
        INSERT INTO billing_runs
            (id, trigger, trigger_source, key, commit, dry_run, period, partner_ids, who_kind, who_id, who_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        uuid4(),
        asked.trigger,
        asked.source,
        asked.key,
        asked.commit,
        asked.dry_run,
        asked.period,
        asked.partner_ids,
        uow.actor.kind,
        uow.actor.id,
        uow.actor.name,
    )
    if run_id is None:
        known: UUID = await uow.connection.fetchval("SELECT id FROM billing_runs WHERE key = $1", asked.key)
        return known
    await uow.audit("billing_run.started", run_id, after={"trigger": asked.trigger, "dry_run": asked.dry_run})
    await tasks.start(uow, KIND, {"run_id": run_id}, dedup_key=str(run_id))
    return run_id


async def read(connection: asyncpg.Connection, run_id: UUID) -> Run | None:
    """One run."""
    row = await connection.fetchrow("SELECT * FROM billing_runs WHERE id = $1", run_id)
    return _run_from_row(row) if row else None


async def newest(connection: asyncpg.Connection, limit: int, *, dry_runs: bool = True) -> list[Run]:
    """The last runs, the newest first."""
    rows = await connection.fetch(
        "SELECT * FROM billing_runs WHERE $2 OR NOT dry_run ORDER BY started_at DESC, id DESC LIMIT $1", limit, dry_runs
    )
    return [_run_from_row(row) for row in rows]


async def task_of(connection: asyncpg.Connection, run_id: UUID) -> UUID:
    """The background task of a run."""
    task_id: UUID = await connection.fetchval(
        "SELECT id FROM tasks WHERE kind = $1 AND dedup_key = $2 ORDER BY created_at DESC LIMIT 1", KIND, str(run_id)
    )
    return task_id


async def plan(
    connection: asyncpg.Connection, run_id: UUID, portions: Iterable[Iterable[tuple[UUID, int, int]]]
) -> None:
    """Settle what a run bills: in each portion the partner, the period and how many actions it has."""
    new = [(uuid4(), *each, number) for number, portion in enumerate(portions) for each in portion]
    await connection.execute(
        """
        INSERT INTO billing_run_items (run_id, id, partner_id, period, actions, portion)
        SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::bigint[], $6::int[])
        """,
        run_id,
        *([each[place] for each in new] for place in range(5)),
    )
    await connection.execute("UPDATE billing_runs SET planned_at = clock_timestamp() WHERE id = $1", run_id)


async def open_items(connection: asyncpg.Connection, run_id: UUID, portion: int | None = None) -> list[Item]:
    """The items that have not ended, of one portion or of all, the oldest period first."""
    rows = await connection.fetch(
        f"""
        {ITEMS} WHERE run_id = $1 AND outcome IS NULL AND ($2::int IS NULL OR portion = $2)
        ORDER BY items.period, partner_id
        """,
        run_id,
        portion,
    )
    return [item_from_row(row) for row in rows]


async def zones(connection: asyncpg.Connection, runs: Sequence[Run]) -> dict[UUID, str]:
    """The time zones of the partners of runs that bill one partner only."""
    alone = {
        run.id: run.asked.partner_ids[0] for run in runs if run.asked.partner_ids and len(run.asked.partner_ids) == 1
    }
    found = await partners.zones(connection, set(alone.values()))
    return {run_id: found[partner_id] for run_id, partner_id in alone.items() if partner_id in found}


async def items(
    connection: asyncpg.Connection,
    run_id: UUID,
    *,
    outcome: Outcome | None = None,
    after: tuple[str, int] | None = None,
    limit: int,
) -> list[Item]:
    """The items that have ended, by partner and period; those after a place."""
    rows = await connection.fetch(
        f"""
        {ITEMS} WHERE run_id = $1 AND CASE WHEN $2::text IS NULL THEN outcome IS NOT NULL ELSE outcome = $2 END
            AND (external_id, items.period) > ($4::text, $5::int)
        ORDER BY external_id, items.period LIMIT $3
        """,
        run_id,
        outcome,
        limit,
        *(after or ("", 0)),
    )
    return [item_from_row(row) for row in rows]


async def failing(connection: asyncpg.Connection, run_id: UUID, limit: int) -> list[Item]:
    """The items that failed at the last attempt, for good or not, by partner and period."""
    rows = await connection.fetch(
        f"{ITEMS} WHERE run_id = $1 AND error IS NOT NULL ORDER BY external_id, items.period LIMIT $2",
        run_id,
        limit,
    )
    return [item_from_row(row) for row in rows]


async def finish_items(connection: asyncpg.Connection, results: Mapping[UUID, Result]) -> None:
    """Say how items ended; where one waits for people, the partner's later periods of the run wait, too."""
    await connection.execute(
        """
        UPDATE billing_run_items AS items SET outcome = ended.outcome, bill_id = ended.bill_id,
            bill_state = ended.bill_state, gross_minor = ended.gross_minor, note = ended.note, error = NULL,
            attempts = attempts + 1, next_attempt_at = NULL, finished_at = clock_timestamp()
        FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::text[])
            AS ended (id, outcome, bill_id, bill_state, gross_minor, note)
        WHERE items.id = ended.id
        """,
        list(results),
        [result.outcome for result in results.values()],
        [result.bill_id for result in results.values()],
        [result.bill_state for result in results.values()],
        [result.gross_minor for result in results.values()],
        [result.note for result in results.values()],
    )
    waiting = [item_id for item_id, result in results.items() if result.outcome is Outcome.WAITING]
    if waiting:
        await _stop_later_periods(connection, waiting)


async def fail_item(connection: asyncpg.Connection, item: Item, error: str) -> bool:
    """An attempt of an item failed: another one follows later, or it is a dead letter; whether it is."""
    delay_s = retry_after_s(item.attempts + 1)
    await connection.execute(
        """
        UPDATE billing_run_items SET attempts = $2, error = $3, outcome = $4,
            next_attempt_at = clock_timestamp() + make_interval(secs => $5),
            finished_at = CASE WHEN $4::text IS NOT NULL THEN clock_timestamp() END
        WHERE id = $1 AND outcome IS NULL
        """,
        item.id,
        item.attempts + 1,
        error,
        Outcome.FAILED if delay_s is None else None,
        delay_s,
    )
    if delay_s is None:
        await _stop_later_periods(connection, [item.id])
    return delay_s is None


async def _stop_later_periods(connection: asyncpg.Connection, item_ids: Sequence[UUID]) -> None:
    await connection.execute(
        """
        UPDATE billing_run_items AS later SET outcome = 'waiting', finished_at = clock_timestamp(),
            next_attempt_at = NULL, note = 'An earlier period of the partner comes first.'
        FROM billing_run_items AS earlier
        WHERE earlier.id = ANY($1::uuid[]) AND later.run_id = earlier.run_id
            AND later.partner_id = earlier.partner_id AND later.period > earlier.period AND later.outcome IS NULL
        """,
        item_ids,
    )


_SUMS = """
    SELECT run_id, outcome, currency, count(*) AS items, count(error) AS failing,
        coalesce(sum(gross_minor), 0)::bigint AS gross_minor
    FROM billing_run_items JOIN partners ON partners.id = partner_id
    WHERE run_id = ANY($1::uuid[]) GROUP BY run_id, outcome, currency
"""


async def figures(connection: asyncpg.Connection, run_ids: Sequence[UUID]) -> dict[UUID, Figures]:
    """The figures of each run; those of one that has ended well are kept."""
    rows = await connection.fetch(
        "SELECT * FROM billing_run_figures WHERE run_id = ANY($1::uuid[]) ORDER BY currency", run_ids
    )
    kept = {row["run_id"] for row in rows}
    rows += await connection.fetch(f"{_SUMS} ORDER BY currency", [run_id for run_id in run_ids if run_id not in kept])
    found = {}
    for run_id in run_ids:
        own = [row for row in rows if row["run_id"] == run_id]
        ended = dict.fromkeys(Outcome, 0)
        gross: dict[str, int] = {}
        for row in own:
            if row["outcome"]:
                ended[Outcome(row["outcome"])] += row["items"]
            if row["outcome"] == Outcome.SUCCESSFUL:
                gross[row["currency"]] = gross.get(row["currency"], 0) + row["gross_minor"]
        total, failing = (sum(row[name] for row in own) for name in ("items", "failing"))
        found[run_id] = Figures(total, failing, ended, gross)
    return found


async def finish(uow: UnitOfWork, run_id: UUID, error: str | None = None) -> None:
    """The run is over, with an error if it failed as a whole. Whoever is to be told of it is told here."""
    run = await uow.connection.fetchrow(
        """
        UPDATE billing_runs SET completed_at = clock_timestamp(), error = $2 WHERE id = $1 AND completed_at IS NULL
        RETURNING dry_run, commit, extract(epoch FROM completed_at - started_at)::float8 AS took_s
        """,
        run_id,
        error,
    )
    if run and not error:
        await uow.connection.execute(
            f"INSERT INTO billing_run_figures (run_id, outcome, currency, items, failing, gross_minor) {_SUMS}",
            [run_id],
        )
    if run and run["commit"]:
        await tasks.start(uow, REPORT_TO_GITHUB, {"run_id": run_id}, dedup_key=str(run_id))
    if run is None or run["dry_run"]:
        return
    found = (await figures(uow.connection, [run_id]))[run_id]
    counts = {f"run_items_{outcome}": count for outcome, count in found.ended.items()}
    await counters.add(
        uow.connection,
        {"runs": 1, "runs_failed": int(bool(error)), "run_us": round(run["took_s"] * 1_000_000), **counts},
    )
    told: dict[str, Any] = {
        "run_id": run_id,
        "error": error,
        "processed": found.processed,
        **{outcome.value: count for outcome, count in found.ended.items()},
        "totals": {currency: amount_from_minor(minor) for currency, minor in found.gross_minor.items()},
    }
    await events.tell(uow.connection, Event.RUN_FINISHED, told)


def _run_from_row(row: asyncpg.Record) -> Run:
    return Run(
        id=row["id"],
        asked=Asked(
            trigger=row["trigger"],
            period=row["period"],
            partner_ids=row["partner_ids"],
            dry_run=row["dry_run"],
            source=row["trigger_source"],
            key=row["key"],
            commit=row["commit"],
        ),
        who=actor_from_row(row),
        started_at=row["started_at"],
        planned_at=row["planned_at"],
        completed_at=row["completed_at"],
        error=row["error"],
    )


def item_from_row(row: asyncpg.Record) -> Item:
    """A row of `ITEMS`."""
    values = dict(row)
    outcome = values.pop("outcome")
    return Item(**values, outcome=Outcome(outcome) if outcome else None)
