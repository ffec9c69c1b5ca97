"""Unknown keys: how many look-ups that find nobody an address may cost the database."""

from api.problems import Problem
from api.traffic.buckets import Buckets

PER_S = 10.0
_BURST = 50.0
_RETRY_AFTER_S = 1


class UnknownKeys:
    """Look-ups by address; one that finds a valid key costs nothing."""

    def __init__(self) -> None:
        self._buckets = Buckets(PER_S, _BURST)
        self.refused = 0

    def spend(self, address: str) -> None:
        """Count a look-up that may find nobody; Problem 429 if the address had too many of these."""
        if self._buckets.take(address):
            self.refused += 1
            raise Problem(
                429,
                "Too many requests with unknown keys came from this address; try again in a second.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )

    def give_back(self, address: str) -> None:
        """The look-up found a key."""
        self._buckets.give_back(address)
