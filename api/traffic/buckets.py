"""Token buckets: how often something may happen, for each of many keys."""

import time
from collections.abc import Hashable

_MOST_KEYS = 10_000


class Buckets:
    """`burst` tokens for each key, and `per_s` new ones a second. Whoever sends very many keys empties the memory."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable) -> float:
        """Take a token; returns 0, or in how many seconds there is one."""
        now = time.monotonic()
        tokens, filled_at = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled_at) * self._per_s)
        if tokens < 1:
            return (1 - tokens) / self._per_s
        if len(self._buckets) >= _MOST_KEYS and key not in self._buckets:
            self._buckets.clear()
        self._buckets[key] = (tokens - 1, now)
        return 0

    def give_back(self, key: Hashable) -> None:
        """Undo a `take`."""
        tokens, filled_at = self._buckets.get(key, (self._burst, 0.0))
        self._buckets[key] = (tokens + 1, filled_at)
