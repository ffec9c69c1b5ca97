"""Unknown keys: how many look-ups that find nobody an address may cost the database."""

import time

from api.problems import Problem

PER_S = 10.0
_BURST = 50.0
_MOST_ADDRESSES = 10_000
_RETRY_AFTER_S = 1


class UnknownKeys:
    """Look-ups by address, as a token bucket each; one that finds a valid key costs nothing."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        self.refused = 0

    def spend(self, address: str) -> None:
        """Count a look-up that may find nobody; Problem 429 if the address had too many of these."""
        now = time.monotonic()
        tokens, filled_at = self._buckets.get(address, (_BURST, now))
        tokens = min(_BURST, tokens + (now - filled_at) * PER_S)
        if tokens < 1:
            self.refused += 1
            raise Problem(
                429,
                "Too many requests with unknown keys came from this address; try again in a second.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        if len(self._buckets) >= _MOST_ADDRESSES and address not in self._buckets:
            self._buckets.clear()
        self._buckets[address] = (tokens - 1, now)

    def give_back(self, address: str) -> None:
        """The look-up found a key."""
        tokens, filled_at = self._buckets.get(address, (_BURST, 0.0))
        self._buckets[address] = (tokens + 1, filled_at)
