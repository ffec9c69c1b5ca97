"""Rate limit: how many requests a key may make, by a token bucket per key and process."""

import time
from uuid import UUID

from api.problems import Problem


class RateLimiter:
    """Allows `per_s` requests a second per key, with bursts of what a second allows; 0 allows any number."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst = max(per_s, 1.0)
        self._buckets: dict[UUID, tuple[float, float]] = {}
        self.refused = 0

    def check(self, key_id: UUID) -> None:
        """Count one request; Problem 429 with Retry-After if the key is over its rate."""
        if not self._per_s:
            return
        now = time.monotonic()
        tokens, filled_at = self._buckets.get(key_id, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled_at) * self._per_s)
        if tokens < 1:
            self.refused += 1
            wait_s = max(1, round((1 - tokens) / self._per_s + 0.5))
            raise Problem(
                429,
                f"This key may make {self._per_s:g} requests a second; try again in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )
        self._buckets[key_id] = (tokens - 1, now)
