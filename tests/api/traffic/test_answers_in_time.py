"""A large answer is given to the server in parts, so that a client which stops reading is cut."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.request_context import RequestContextMiddleware
from api.traffic.answers_in_time import PART_BYTES, ReadingStopped

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/leads", "headers": []}


async def _receive() -> Message:
    raise AssertionError("nothing is read here")


class Client:
    """One that takes so many parts of a body, and then reads no more."""

    def __init__(self, most: int) -> None:
        self.parts: list[Message] = []
        self._most = most

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            return
        if len(self.parts) == self._most:
            await asyncio.Event().wait()
        self.parts.append(message)


async def _answer(body: bytes, client: Client) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    await RequestContextMiddleware(app, answer_timeout_s=0.1)(dict(SCOPE), _receive, client.send)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
async def test_an_answer_arrives_whole_and_ends_once(size: int) -> None:
    body, client = bytes(size), Client(10)
    await _answer(body, client)
    assert b"".join(part["body"] for part in client.parts) == body
    assert [part.get("more_body", False) for part in client.parts] == [True] * (len(client.parts) - 1) + [False]
    assert max(len(part["body"]) for part in client.parts) <= PART_BYTES


async def test_who_stops_reading_holds_no_large_answer() -> None:
    client = Client(2)
    async with asyncio.timeout(10):
        with pytest.raises(ReadingStopped):
            await _answer(bytes(4 * PART_BYTES), client)
    assert [len(part["body"]) for part in client.parts] == [PART_BYTES] * 2
    assert all(part["more_body"] for part in client.parts)  # it is not taken for complete
