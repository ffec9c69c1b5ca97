"""The load: a process of its own that sends a plan's requests at their scheduled instants and says what came back.

Run as `python -m scripts.dev.bench.load PLAN RESULT`. It is bounded in count and time, speaks to 127.0.0.1 only, and
ends by itself. Latency counts from the scheduled arrival, not from the moment a connection became free, so a slow
server cannot hide behind a polite client. An arrival that finds `backlog` others waiting is dropped and counted.
"""

import asyncio
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random

import msgspec
import uvloop

from scripts.dev.bench.http_client import Connection, connect, request_bytes
from scripts.dev.bench.traffic import from_plain

_LAST_ANSWERS_S = 20.0
_BATCH_ID = b'"batch_id":"'


class Plan(msgspec.Struct, frozen=True):
    """What to send where. `rate` is requests a second; 0 sends as fast as answers come (closed loop).

    The connections are spread evenly over the ports.
    """

    ports: list[int]
    path: str
    key: str
    traffic: dict[str, object]
    rate: float
    connections: int
    backlog: int
    limit_s: float


class Result(msgspec.Struct, frozen=True):
    """What came back. Lists run over the acknowledged requests, in the order of the answers; times in seconds.

    `batches` are the ids that the answers name, `scheduled_at` instants since the epoch. `lateness_s` is how far behind
    its schedule the generator itself was, for every arrival.
    """

    started_at: float
    elapsed_s: float
    offered: int
    dropped: int
    unanswered: int
    statuses: dict[str, int]
    acknowledged: list[int]
    batches: list[str]
    scheduled_at: list[float]
    latency_s: list[float]
    lateness_s: list[float]
    generator_cpu_s: float

    @property
    def rate(self) -> float:
        """Acknowledged requests a second."""
        return len(self.acknowledged) / self.elapsed_s if self.elapsed_s else 0.0


@dataclass
class _Load:
    plan: Plan
    requests: list[bytes]
    idle: deque[Connection] = field(default_factory=deque)
    waiting: deque[int] = field(default_factory=deque)
    scheduled: list[float] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    lateness_s: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    answered: int = 0
    dropped: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> Result:
        ports = islice(cycle(self.plan.ports), self.plan.connections)
        opened = [await connect(port, self.on_answer) for port in ports]
        self.idle.extend(opened)
        cpu_s, wall, start = time.process_time(), time.time(), time.perf_counter()
        offered = await (self.open_loop(start) if self.plan.rate else self.closed_loop(start))
        try:
            async with asyncio.timeout(_LAST_ANSWERS_S):
                while self.answered < self.sent or self.waiting:
                    self.done.clear()
                    await self.done.wait()
        except TimeoutError:
            pass
        end = self.answers[-1][1] if self.answers else time.perf_counter()
        unanswered = self.sent - self.answered
        for connection in opened:
            connection.close()
        return Result(
            started_at=wall,
            elapsed_s=end - start,
            offered=offered,
            dropped=self.dropped + len(self.waiting),
            unanswered=unanswered,
            statuses=self.statuses,
            acknowledged=[number for number, _ in self.answers],
            batches=self.batches,
            scheduled_at=[wall + self.scheduled[number] - start for number, _ in self.answers],
            latency_s=[at - self.scheduled[number] for number, at in self.answers],
            lateness_s=self.lateness_s,
            generator_cpu_s=time.process_time() - cpu_s,
        )

    async def open_loop(self, start: float) -> int:
        """Arrivals of a Poisson process: independent callers, whatever the answers do."""
        random = Random(0)  # noqa: S311 - a schedule is to be repeatable, not secret
        at = start
        for _ in self.requests:
            self.scheduled.append(at)
            at += random.expovariate(self.plan.rate)
        end = start + self.plan.limit_s
        number, count = 0, len(self.requests)
        while number < count and (now := time.perf_counter()) < end:
            while number < count and self.scheduled[number] <= now:
                self.arrive(number)
                number += 1
            if number < count:
                await asyncio.sleep(max(self.scheduled[number] - time.perf_counter(), 0))
        return number

    async def closed_loop(self, start: float) -> int:
        self.scheduled = [start] * len(self.requests)
        self.waiting.extend(range(len(self.requests)))
        while self.idle and self.waiting:
            self.send(self.idle.popleft(), self.waiting.popleft())
        end = start + self.plan.limit_s
        while self.waiting and time.perf_counter() < end:  # noqa: ASYNC110 - answers come all the time
            await asyncio.sleep(0.05)
        offered = len(self.requests) - len(self.waiting)
        self.waiting.clear()
        return offered

    def arrive(self, number: int) -> None:
        self.lateness_s.append(time.perf_counter() - self.scheduled[number])
        if self.idle:
            self.send(self.idle.popleft(), number)
        elif len(self.waiting) < self.plan.backlog:
            self.waiting.append(number)
        else:
            self.dropped += 1

    def send(self, connection: Connection, number: int) -> None:
        if not self.plan.rate:
            self.scheduled[number] = time.perf_counter()
        self.sent += 1
        connection.send(number, self.requests[number])

    def on_answer(self, connection: Connection, status: int, body: bytes) -> None:
        number, connection.number = connection.number, -1
        self.answered += 1
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
        if status == 202:
            self.answers.append((number, time.perf_counter()))
            at = body.find(_BATCH_ID) + len(_BATCH_ID)
            self.batches.append(body[at : at + 36].decode())
        if connection.is_open and self.waiting:
            self.send(connection, self.waiting.popleft())
        elif connection.is_open:
            self.idle.append(connection)
        if self.answered == self.sent:
            self.done.set()


def main(plan_file: Path, result_file: Path) -> None:
    """Send a plan, everything encoded before the clock starts."""
    plan = msgspec.json.decode(plan_file.read_bytes(), type=Plan)
    traffic = from_plain(plan.traffic)
    requests = [request_bytes(plan.path, plan.key, body) for body in traffic.bodies()]
    load = _Load(plan, requests)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(load.run())
    result_file.write_bytes(msgspec.json.encode(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
