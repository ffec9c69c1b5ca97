"""A thread with an event loop and database connections of its own, for work that would hold up other requests."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

Result = TypeVar("Result")

TURN_S = 0.0002
"""After so long a thread that computes lets others go on.

Accepting a lead takes some ten turns of its thread. Beside two that compute, on cores that are busy, these took 70 to
190 ms with 0.2 ms, and 250 to 420 ms with 1 ms; computing takes 4 % longer.
"""


class SideThread:
    """Runs coroutines beside the event loop of the requests. The thread begins with the first of them.

    The application lets other threads go on after `TURN_S`, so no request waits for a long computation here.
    """

    def __init__(self, name: str, engine: AsyncEngine) -> None:
        self.engine = engine
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[AsyncEngine], Awaitable[Result]]) -> Result:
        """Await `call` in the thread, in the context of this task. If this task is cancelled, it ends before this."""
        loop, here = self._loop or self._start(), asyncio.get_running_loop()
        ended: asyncio.Future[asyncio.Task[Result]] = here.create_future()
        begun: list[asyncio.Task[Result]] = []

        async def called() -> Result:
            return await call(self.engine)

        def begin() -> None:
            begun.append(loop.create_task(called()))
            begun[0].add_done_callback(tell)

        def tell(task: asyncio.Task[Result]) -> None:
            here.call_soon_threadsafe(ended.set_result, task)

        loop.call_soon_threadsafe(begin, context=copy_context())
        try:
            task = await asyncio.shield(ended)
        except asyncio.CancelledError:
            loop.call_soon_threadsafe(lambda: begun[0].cancel())
            await asyncio.shield(ended)
            raise
        return task.result()

    async def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop is None or self._thread is None:
            return
        await self.run(AsyncEngine.dispose)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
        self._thread.start()
        return self._loop
