"""The runner of background tasks: one attempt of one task, and what follows from how it ends.

how the attempt ends        what the runner does
--------------------------  -----------------------------------------------------------------------------------
with a result               the task is done
BillingError                the task has failed, with the error's message
SubtaskFailed               the task has failed, with the message of the subtask, whose attempt was logged and counted
Paused                      the task waits for the next sweep; the attempt does not count
TurnOver                    the task goes on by another message, behind what waits; the attempt does not count
GoesOnLater                 the task goes on after a delay; the attempt does not count
TRANSIENT, Interrupted      another attempt later, after a delay that grows up to half a minute, or what its kind says
UNFIT_DATABASE              the same, but logged and counted: somebody has to mend the database, or it is a bug of ours
any other error             logged and counted, a failure; another attempt if its kind allows it, or the task fails
the process is killed       its connection ends and frees the task's lock; the next sweep announces the task again
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import BillingError
from db.core import locks
from db.core.engine import autocommit
from db.core.errors import TRANSIENT, UNFIT_DATABASE
from db.core.unit_of_work import UnitOfWork
from db.tasks import records
from db.tasks.notifications import RUN_TASK
from db.tasks.pauses import Paused
from db.tasks.records import Progress, Task
from db.telemetry import counters
from worker.runtime import Runtime

log = structlog.get_logger()

_LONGEST_DELAY_S = 30.0
_ENVIRONMENT = (*TRANSIENT, *UNFIT_DATABASE)


class Interrupted(Exception):
    """A transient error ended an attempt; another one follows later."""


class SubtaskFailed(Exception):
    """A subtask of the task has failed; the message is the subtask's error, which was logged and counted there."""


class TurnOver(Exception):
    """A long task has worked for long enough at a time, and remembers what is done; others have their turn."""


class GoesOnLater(Exception):
    """A task has nothing to do for so many seconds, and remembers what is done."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"The task goes on in {delay_s:.1f} s.")
        self.delay_s = delay_s


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a task, as its handler gets it. `run` makes an attempt of another task, here and now."""

    runtime: Runtime
    task: Task
    progress: Progress
    run: Callable[[UUID], Awaitable[bool]]


Handler = Callable[[Attempt], Awaitable[dict[str, Any]]]
"""Does what a task is for and returns its result. It can be killed anywhere and is then called again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of background task; with `max_failures` unexpected errors it has failed.

    `longest_delay_s` is the longest time between two attempts. `when_failed` belongs to the unit of work that stores
    that a task has failed for good, and gets its error.
    """

    name: str
    handler: Handler
    max_failures: int = 1
    longest_delay_s: float = _LONGEST_DELAY_S
    when_failed: Callable[[UnitOfWork, Task, str], Awaitable[None]] | None = None


class Runner:
    """Runs tasks of some kinds."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    async def run(self, runtime: Runtime, task_id: UUID) -> bool:
        """Run a task to its end; False if it is finished, taken by another process, or waits for another attempt."""
        try:
            return await self.attempt(runtime, task_id)
        except Interrupted:
            return False
        except TurnOver:
            with suppress(*TRANSIENT):  # the sweeper announces it, too
                async with runtime.unit_of_work() as uow:
                    uow.notify(RUN_TASK, str(task_id))  # now that its lock is free
            return False

    async def attempt(self, runtime: Runtime, task_id: UUID) -> bool:
        """The same, but a transient error raises Interrupted, and the end of its turn TurnOver."""
        async with _task_lock(runtime.engine, task_id) as connection:
            task = await records.begin(connection, task_id) if connection else None
            if connection is None or task is None:
                return False
            ids = {"request_id": task.request_id, "background_task_id": str(task_id)}
            with structlog.contextvars.bound_contextvars(**ids):
                return await self._handle(connection, runtime, task)

    async def _handle(self, connection: asyncpg.Connection, runtime: Runtime, task: Task) -> bool:
        async def progress(done: int, total: int) -> None:
            await records.report_progress(connection, task.id, done, total)

        async def run(task_id: UUID) -> bool:
            return await self.attempt(runtime, task_id)

        kind = self._kinds.get(task.kind)
        longest_s = kind.longest_delay_s if kind else _LONGEST_DELAY_S
        delay_s = retry_delay_s(task.attempts, runtime.settings.sweep_interval_s, longest_s=longest_s)
        if kind is None:
            log.warning("task_kind_unknown", kind=task.kind)  # a worker of a newer release knows it
            await records.retry_later(connection, task.id, f"This worker knows no {task.kind}.", delay_s)
            return False
        try:
            result = await kind.handler(Attempt(runtime, task, progress, run))
        except Paused:
            await records.requeue(connection, task.id)
            return False
        except GoesOnLater as later:
            await records.requeue(connection, task.id, later.delay_s)
            return False
        except TurnOver:
            await records.requeue(connection, task.id)
            raise
        except (BillingError, SubtaskFailed) as ended:
            await _fail(runtime, kind, task, str(ended))
        except (*TRANSIENT, Interrupted) as error:
            log.warning("task_interrupted", kind=task.kind, error=repr(error))
            with suppress(*_ENVIRONMENT):  # Postgres may be what is away
                await records.retry_later(connection, task.id, repr(error), delay_s)
            raise Interrupted from error
        except UNFIT_DATABASE as error:
            log.exception("task_failed", kind=task.kind)
            with suppress(*_ENVIRONMENT):
                await counters.add(connection, {"task_failures": 1})
                await records.retry_later(connection, task.id, repr(error), delay_s)
            raise Interrupted from error
        except Exception as error:
            log.exception("task_failed", kind=task.kind)
            await counters.add(connection, {"task_failures": 1})
            message = f"An unexpected error: {error!r}"
            if task.failures + 1 < kind.max_failures:
                await records.retry_later(connection, task.id, message, delay_s, failures=1)
                return False
            await _fail(runtime, kind, task, message)
        else:
            await records.finish(connection, task.id, result)
            log.info("task_done", kind=task.kind, **{k: v for k, v in result.items() if not isinstance(v, list)})
        return True


async def _fail(runtime: Runtime, kind: Kind, task: Task, error: str) -> None:
    async with runtime.unit_of_work(task.request_id) as uow:
        await records.fail(uow.connection, [task.id], error)
        if kind.when_failed:
            await kind.when_failed(uow, task, error)


def retry_delay_s(
    attempts: int,
    shortest_s: float,
    jitter: Callable[[float, float], float] = random.uniform,
    longest_s: float = _LONGEST_DELAY_S,
) -> float:
    """How long to wait for the next attempt after so many: twice as long each time, and at least half of that."""
    delay_s = min(shortest_s * 2 ** min(attempts - 1, 10), longest_s)
    return jitter(delay_s / 2, delay_s)


@asynccontextmanager
async def _task_lock(engine: AsyncEngine, task_id: UUID) -> AsyncIterator[asyncpg.Connection | None]:
    """A connection that holds the lock of a task, each statement committed; None if another process holds it."""
    async with autocommit(engine) as connection:
        if not await locks.try_lock_task(connection, task_id):
            yield None
            return
        try:
            yield connection
        finally:
            if not connection.is_closed():
                await locks.unlock_task(connection, task_id)
