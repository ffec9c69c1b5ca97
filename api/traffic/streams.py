"""Streams: answers that stay open. Each wakes up this process again and again, so nobody has any number of them."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import Problem

MOST = 500
MOST_OF_PERSON = 32
_RETRY_AFTER_S = 5


class Streams:
    """The streams of a process."""

    def __init__(self) -> None:
        self._by_person: Counter[UUID] = Counter()

    def start(self, person_id: UUID, events: AsyncIterator[bytes]) -> "Stream":
        """The response that sends server-sent events; Problem 429 when it begins if there are too many streams."""
        return Stream(self, person_id, events)

    @contextmanager
    def counted(self, person_id: UUID) -> Iterator[None]:
        """Count one stream of a person while the block runs; Problem 429 if there are too many."""
        if self._by_person.total() >= MOST or self._by_person[person_id] >= MOST_OF_PERSON:
            raise Problem(
                429,
                f"Too many live pages are open; a person has {MOST_OF_PERSON} at most. "
                f"Try again in {_RETRY_AFTER_S} s.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        self._by_person[person_id] += 1
        try:
            yield
        finally:
            self._by_person[person_id] -= 1


class Stream(StreamingResponse):
    """Events that are sent as they come."""

    def __init__(self, streams: Streams, person_id: UUID, events: AsyncIterator[bytes]) -> None:
        # Without the header a proxy would collect them.
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._streams, self._person_id = streams, person_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, if the person has not too many streams already."""
        with self._streams.counted(self._person_id):
            await super().__call__(scope, receive, send)
