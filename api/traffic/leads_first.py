"""Leads go first: while small requests of leads come, reading and long decoding take a third of the time at most.

They share the interpreter and the process's part of the cores with whoever accepts. So answers are made one after the
other then, with a rest after each, and the thread that reads a large body rests twice as long as it worked. Alone,
nobody waits for anything.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

COME_S = 0.1
"""Leads come for so long after a request of them: what is beside ten of them a second gives way all the time."""
LONGEST_WAIT_S = 0.25
"""For so long an answer waits for those before it: one that takes long does not hold up the others."""
_REST = 2
"""Times as long as somebody worked."""
_LONGEST_REST_S = 0.1
_WORK_S = 0.005
"""A thread works for so long before it rests."""


class LeadsFirst:
    """Knows whether leads come, and gives the others their turns."""

    def __init__(self) -> None:
        self._came_at = float("-inf")
        self._turn = asyncio.Lock()

    def come(self) -> None:
        """Note that a request of leads has come, which is no large one."""
        self._came_at = time.monotonic()

    @property
    def coming(self) -> bool:
        """Whether leads come."""
        return time.monotonic() - self._came_at < COME_S

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Make an answer in the block: beside leads one at a time, and after it a rest twice as long as it took."""
        if not self.coming or not await self._take():
            yield
            return
        began = time.monotonic()
        try:
            yield
        finally:
            rest_s = min(_REST * (time.monotonic() - began), _LONGEST_REST_S)
            asyncio.get_running_loop().call_later(rest_s, self._turn.release)

    def rests(self) -> Callable[[], None]:
        """What a thread that works for long calls often: beside leads, it rests twice as long as it worked."""
        began = time.monotonic()

        def rest() -> None:
            nonlocal began
            worked_s = time.monotonic() - began
            if worked_s < _WORK_S:
                return
            if self.coming:
                time.sleep(min(_REST * worked_s, _LONGEST_REST_S))
            began = time.monotonic()

        return rest

    async def _take(self) -> bool:
        """Wait for the turn, and no longer than `LONGEST_WAIT_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_S):
                return await self._turn.acquire()
        return False
