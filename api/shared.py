"""Readings that all viewers of a process share: however many look, the database is asked as often as for one."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Value = TypeVar("Value")

_MOST_PART = 0.02
"""The part of its time that a process spends on one reading at most; what takes long is read less often."""


@dataclass(slots=True)
class Shared(Generic[Value]):
    """One reading, kept for `keep_s` at least; who comes while it is read again gets the one before."""

    keep_s: float
    value: Value | None = None
    _until: float = field(default=0.0, repr=False)
    _is_reading: bool = field(default=False, repr=False)

    async def get(self, read: Callable[[], Awaitable[Value]]) -> Value | None:
        """The reading; None while the first one is under way for somebody else."""
        if self._is_reading or time.monotonic() < self._until:
            return self.value
        self._is_reading = True
        began = time.monotonic()
        try:
            self.value = await read()
        finally:
            self._is_reading = False
            took_s = time.monotonic() - began
            self._until = time.monotonic() + max(self.keep_s, took_s / _MOST_PART)
        return self.value
