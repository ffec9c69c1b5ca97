"""A thread with an event loop and database connections of its own, for work that would hold up other requests."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

Result = TypeVar("Result")


class SideThread:
    """Runs coroutines beside the event loop of the requests. The thread begins with the first of them.

    The interpreter lets another thread go on every few milliseconds, so no request waits for a long computation here.
    """

    def __init__(self, name: str, make_engine: Callable[[], AsyncEngine]) -> None:
        self._name = name
        self._make_engine = make_engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._engine: AsyncEngine | None = None

    async def run(self, call: Callable[[AsyncEngine], Awaitable[Result]]) -> Result:
        """Await `call` in the thread, in the context of this task; it ends when this task is cancelled."""
        if self._loop is None:
            self._start()
        loop, engine = self._loop, self._engine
        assert loop is not None
        assert engine is not None

        async def called() -> Result:
            return await call(engine)

        context = copy_context()
        return await asyncio.wrap_future(context.run(asyncio.run_coroutine_threadsafe, called(), loop))

    async def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop is None or self._thread is None or self._engine is None:
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._engine.dispose(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    def _start(self) -> None:
        self._engine = self._make_engine()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
        self._thread.start()
