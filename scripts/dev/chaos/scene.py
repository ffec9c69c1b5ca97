"""One fault from beginning to end: a world, a client, the harm, the wait until nothing waits, the judgement."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from scripts.client import Client, ClientError
from scripts.dev.chaos.history import History
from scripts.dev.chaos.judgement import Judgement, judge
from scripts.dev.chaos.load import ANSWER_S, Load, Sender, Stuck
from scripts.dev.chaos.stack import Place, Stack
from scripts.dev.chaos.world import World

_DRAIN_S = 240.0


@dataclass
class Scene:
    """What a fault works with. `times` is how often it does its harm; `recoveries_s` grows with every `recover`."""

    place: Place
    world: World
    sender: Sender
    history: History
    client: Client
    dice: random.Random
    times: int
    recoveries_s: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def stack(self) -> Stack:
        """The stack, for faults that stop and start its parts."""
        assert isinstance(self.place, Stack)
        return self.place

    @contextmanager
    def load(self) -> Iterator[None]:
        """Batches keep coming during the block."""
        with Load(self.sender, self.world):
            time.sleep(0.3)
            yield

    def recover(self, since: float | None = None) -> float:
        """Send one lead now and follow it until it is decided; notes and returns the seconds since the fault."""
        began = time.monotonic() if since is None else since
        self.sender.wait_until_done(self.sender.post(self.world.leads(1)))
        self.recoveries_s.append(time.monotonic() - began)
        return self.recoveries_s[-1]

    def expect(self, is_so: bool, complaint: str) -> None:
        """Note what should have been and was not."""
        if not is_so:
            self.complaints.append(complaint)

    def fetchval(self, query: str, *arguments: object) -> Any:
        """One value from the database."""
        return _fetchval(self.place.database_url, query, *arguments)

    def execute(self, *statements: str) -> None:
        """Do harm to the database, or mend it, over one connection."""
        _execute(self.place.database_url, statements)

    def waiting(self) -> int:
        """How many rows wait in the inbox, and background tasks beside them."""
        count: int = self.fetchval(_WAITING)
        return count

    def drain(self, patience_s: float = _DRAIN_S) -> None:
        """Wait until nothing waits, however slow the machine is; raises Stuck if it has become no less for so long."""
        least, deadline = math.inf, math.inf
        while waiting := self.waiting():
            if waiting < least:
                least, deadline = waiting, time.monotonic() + patience_s
            if time.monotonic() > deadline:
                raise Stuck(f"{waiting} rows still wait, and none less for {patience_s:.0f} s")
            time.sleep(0.1)


_WAITING = """
    SELECT (SELECT count(*) FROM inbox WHERE done_at IS NULL) + (SELECT count(*) FROM tasks WHERE finished_at IS NULL)
"""


@dataclass(frozen=True)
class Fault:
    """A fault of the design; `full` is how often the design wants it. Without `strike` it is not built yet."""

    name: str
    about: str
    full: int
    strike: Callable[[Scene], None] | None
    app: str = "worker.app"
    proxied: bool = False
    is_up: bool = False
    """Needs `leadger up` itself instead of its parts."""


@dataclass
class Outcome:
    """The line of one fault in the table."""

    fault: str
    times: int
    judgement: Judgement = field(default_factory=Judgement)
    recoveries_s: list[float] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    took_s: float = 0.0
    is_built: bool = True

    @property
    def errors_5xx(self) -> int:
        """How many answers of 500 and above the client saw."""
        return sum(count for kind, count in self.answers.items() if kind.startswith("5"))

    @property
    def passed(self) -> bool:
        """Whether the fault cost nothing."""
        found = self.judgement
        costs = (found.lost, found.billed_twice, found.wrong_totals, found.false_2xx, len(self.complaints))
        return self.is_built and not any(costs)


@contextmanager
def opened_scene(place: Place, *, times: int, seed: int, name: str, answer_s: float = ANSWER_S) -> Iterator[Scene]:
    """A new world on a running Leadger, its first leads decided. `name` is new for every scene on a place.

    A request that is not answered within `answer_s` counts as failed.
    """
    history, world = History(), World(name, seed)
    sender = Sender(place.url, place.key, history, answer_s)
    dice = random.Random(f"{name} {seed}")  # noqa: S311 - to be repeated, not to be secret
    try:
        with Client(place.url, place.key) as client:
            world.create(client)
            sender.wait_until_done(sender.post(world.leads(20)))
            yield Scene(place, world, sender, history, client, dice, times)
    finally:
        sender.close()


def play(fault: Fault, place: Place, *, times: int, seed: int, name: str) -> Outcome:
    """Let a fault happen on a running Leadger and judge what is left."""
    assert fault.strike is not None
    began = time.monotonic()
    outcome = Outcome(fault.name, times)
    with opened_scene(place, times=times, seed=seed, name=name) as scene:
        try:
            fault.strike(scene)
            scene.drain()
            outcome.judgement = judge(place, scene.world, scene.history, seed)
        except (Stuck, TimeoutError, ClientError) as error:
            scene.complaints.append(f"stuck: {error}")
        dead = scene.fetchval("SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL")
        scene.expect(dead == 0, f"{dead} dead letters are left")
    outcome.recoveries_s, outcome.answers = scene.recoveries_s, dict(scene.sender.answers)
    outcome.complaints = [*scene.complaints, *(f"refused: {refusal}" for refusal in scene.sender.refusals[:5])]
    outcome.notes = [*scene.notes, f"slowest 2xx {scene.sender.slowest_s:.2f} s"]
    outcome.took_s = time.monotonic() - began
    return outcome


def _fetchval(database_url: str, query: str, *arguments: object) -> Any:
    async def fetch() -> Any:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def _execute(database_url: str, statements: Iterable[str]) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())
