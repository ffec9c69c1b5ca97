"""Body deadlines: a body that stops coming, or comes in drops, is given up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_LEAST_BYTES_PER_S = 100_000


class Arrival:
    """A body that is being received."""

    __slots__ = ("_size", "_started", "deadline", "given_up", "task", "timeout_s")

    def __init__(self, task: "asyncio.Task[object]", timeout_s: float) -> None:
        self.task, self.timeout_s = task, timeout_s
        self._size = 0
        self._started = time.monotonic()
        self.deadline = self._started + timeout_s
        self.given_up = False

    def count(self, size: int) -> None:
        """Count bytes that came: the next may take the timeout, and all of them that and what their number takes."""
        self._size += size
        in_all = self._started + self.timeout_s + self._size / _LEAST_BYTES_PER_S
        self.deadline = min(time.monotonic() + self.timeout_s, in_all)


class BodyDeadlines:
    """Gives up bodies that are late.

    It looks at all of them once in a while, because a timer for each would take longer than reading a small body.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._arriving: set[Arrival] = set()

    def begin(self) -> Arrival:
        """A body that the current task begins to receive; if it is late, it is `given_up` and the task is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        arrival = Arrival(task, self.timeout_s)
        self._arriving.add(arrival)
        return arrival

    def end(self, arrival: Arrival) -> None:
        """It is received, or will not be."""
        self._arriving.discard(arrival)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Give up late bodies while the block runs."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(self.timeout_s / 4, 1.0))
            now = time.monotonic()
            for arrival in [each for each in self._arriving if each.deadline < now]:
                self._arriving.discard(arrival)
                arrival.given_up = True
                arrival.task.cancel()
