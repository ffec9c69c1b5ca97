"""Readings that all viewers share."""

import asyncio

import pytest

from api.shared import Shared


class Source:
    """Counts how often it is read."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.reads, self._takes_s = 0, takes_s

    async def read(self) -> int:
        self.reads += 1
        reads = self.reads
        await asyncio.sleep(self._takes_s)
        return reads


async def test_however_many_look_it_is_read_once() -> None:
    source, shared = Source(), Shared[int](keep_s=60)
    assert await shared.get(source.read) == 1
    assert await asyncio.gather(*(shared.get(source.read) for _ in range(50))) == [1] * 50
    assert source.reads == 1


async def test_who_comes_while_it_is_read_gets_the_one_before() -> None:
    slow, shared = Source(takes_s=0.05), Shared[int](keep_s=0)
    first, other = await asyncio.gather(shared.get(slow.read), shared.get(slow.read))
    assert (first, other) == (1, None)
    assert await shared.get(slow.read) == 1  # what took 50 ms is kept for 2.5 s
    assert slow.reads == 1


async def test_a_reading_that_failed_is_tried_again_and_hides_nothing() -> None:
    async def fail() -> int:
        raise ConnectionError

    shared = Shared[int](keep_s=0)
    with pytest.raises(ConnectionError):
        await shared.get(fail)
    await asyncio.sleep(0.01)
    assert await shared.get(Source().read) == 1
