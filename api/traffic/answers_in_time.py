"""Answers in time: a client that stops reading is cut, so that it does not hold an answer for ever.

The server takes a whole answer at once and keeps it until it is read. So a large one is given to it in parts, which it
takes no faster than they are read.
"""

import asyncio

import structlog
from starlette.types import Message, Send

log = structlog.get_logger()

PART_BYTES = 256 * 1024
"""A smaller body goes at once: the system's buffers hold more of a connection that nobody reads."""


class ReadingStopped(Exception):
    """A client has read nothing for a while; its answer does not end as if it were complete."""


async def send_in_time(send: Send, message: Message, timeout_s: float) -> None:
    """Send one message; raises ReadingStopped if the client reads nothing for so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await send(message)
    except TimeoutError:
        log.warning("answer_cut", timeout_s=timeout_s)
        raise ReadingStopped from None


async def send_in_parts(send: Send, message: Message, timeout_s: float) -> None:
    """Send a body in parts, each in time."""
    body = message["body"]
    for start in range(0, len(body), PART_BYTES):
        more = start + PART_BYTES < len(body) or message.get("more_body", False)
        part = {"type": message["type"], "body": body[start : start + PART_BYTES], "more_body": more}
        await send_in_time(send, part, timeout_s)
