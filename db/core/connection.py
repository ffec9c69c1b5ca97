"""Connections that leave nothing behind when they are lost or given up; a COPY ends with its connection."""

import asyncio
import gc
from collections.abc import Iterable, Iterator
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
        options["records"] = self._with_retrieved_end(options["records"])
        try:
            status: str = await super().copy_records_to_table(*arguments, **options)
        except asyncpg.InternalClientError:  # the server ended the connection while it was idle: no COPY began
            self._retrieve_end()
            raise
        except (AttributeError, RuntimeError) as error:  # by asyncio or uvloop: it was written to what is gone
            if not self.is_closed():
                raise
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of a COPY") from error
        return status

    def _clean_tasks(self) -> None:
        """Let a request to cancel a statement end by itself, within the time of one statement.

        asyncpg breaks it off where the connection is given up, and forgets the error of what was just connecting.
        """

    def _with_retrieved_end(self, records: Iterable[Any]) -> Iterator[Any]:
        self._retrieve_end()
        yield from records

    def _retrieve_end(self) -> None:
        """Retrieve the error of the future that asyncpg made for a COPY: where writing fails, it forgets that one.

        Nothing else leads to it.
        """
        for future in gc.get_referents(self._of_copies):
            if isinstance(future, asyncio.Future):
                future.add_done_callback(lambda done: done.cancelled() or done.exception())
