"""Connections on which a COPY ends when its connection does, and leaves nothing behind."""

import asyncio
import gc
from typing import Any

import asyncpg


class Connection(asyncpg.Connection):
    """What `asyncpg.connect` makes for us: a COPY on a lost connection raises one of DATABASE_UNAVAILABLE."""

    def __init__(self, protocol: Any, *arguments: Any) -> None:
        super().__init__(protocol, *arguments)
        self._of_copies = protocol
        # While a COPY waits until it may send more, asyncpg 0.32 does not tell it that nobody reads any longer.
        self.add_termination_listener(lambda _: protocol.resume_writing())

    async def copy_records_to_table(self, *arguments: Any, **options: Any) -> str:
        """See asyncpg."""
        try:
            status: str = await super().copy_records_to_table(*arguments, **options)
        except asyncpg.InternalClientError:
            # The server ended the connection while it was idle, so the COPY could not begin. asyncpg had made a future
            # for it, forgets it, and lets it fail when the connection is closed; nothing else leads to it.
            for future in gc.get_referents(self._of_copies):
                if isinstance(future, asyncio.Future):
                    future.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        except AttributeError as error:
            if not self.is_closed():
                raise
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of a COPY") from error
        return status
