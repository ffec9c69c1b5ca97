"""Streams: a process has only so many, whoever has them. How many one person has: `tests.api.pages.test_dashboard`."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from starlette.types import Message

from api.problems import Problem
from api.traffic.streams import MOST, MOST_OF_PERSON, Streams


async def one_event() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"


async def sent_to_one_more(streams: Streams) -> list[Message]:
    """What somebody is sent who opens a stream beside those that are open."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError

    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    await streams.start(uuid4(), one_event())(scope, receive, send)
    return messages


async def test_a_process_has_so_many_streams_whoever_has_them() -> None:
    streams = Streams()
    with ExitStack() as opened:
        for _ in range(MOST - 1):
            opened.enter_context(streams.counted(uuid4()))
        assert (await sent_to_one_more(streams))[0]["type"] == "http.response.start"
        opened.enter_context(streams.counted(uuid4()))
        with pytest.raises(Problem) as refused:
            await sent_to_one_more(streams)
        assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "5"})
        assert refused.value.detail == (
            f"Too many live pages are open; a person has {MOST_OF_PERSON} at most. Try again in 5 s."
        )
    assert await sent_to_one_more(streams), "streams that ended do not count"
