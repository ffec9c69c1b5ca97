"""Long loops over what is in memory, in slices: others on the event loop come in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

_AT_ONCE = 50


async def in_slices(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items, with a turn for everybody else after each fifty."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
