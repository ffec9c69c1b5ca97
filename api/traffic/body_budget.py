"""Body budget: how many bytes of request bodies a process holds at a time, received and unpacked, and for which key."""

from collections import Counter
from uuid import UUID

from api.problems import Problem

_BODIES = 3
_BODIES_OF_ONE_KEY = 2
"""A packed body is held beside what it unpacks to, so one key needs two; the third is for others."""
_RETRY_AFTER_S = 1


class BodyBudget:
    """Counts the bytes that are held, by key. Where a body does not fit, its request is refused and holds nothing.

    A request that waited for room instead would hold what it has, and two of them could wait for each other. The first
    `not_counted` bytes of each request are free.
    """

    def __init__(self, most_bytes_of_one: int, not_counted: int = 64 * 1024) -> None:
        self.not_counted = not_counted
        self._most_bytes = _BODIES * most_bytes_of_one
        self._most_bytes_of_key = _BODIES_OF_ONE_KEY * most_bytes_of_one
        self._by_key: Counter[UUID] = Counter()
        self.held_bytes = 0
        self.refused = 0

    def take(self, key_id: UUID, size: int) -> None:
        """Count bytes that a request of the key is about to hold; Problem 429 if they are too many."""
        if self.held_bytes + size > self._most_bytes or self._by_key[key_id] + size > self._most_bytes_of_key:
            self.refused += 1
            raise Problem(
                429,
                "Too many bytes of request bodies are under way here: nothing was stored, "
                f"try again in {_RETRY_AFTER_S} s, with fewer large requests at a time.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        self._by_key[key_id] += size
        self.held_bytes += size

    def give_back(self, key_id: UUID, size: int) -> None:
        """Count them no longer."""
        self.held_bytes -= size
        self._by_key[key_id] -= size
        if not self._by_key[key_id]:
            del self._by_key[key_id]


class HeldBytes:
    """The bytes that one request holds.

    The first ones are not counted: large bodies of some keys never keep small ones of others out. Of those, the number
    of connections is the limit.
    """

    def __init__(self, budget: BodyBudget, key_id: UUID) -> None:
        self._budget, self._key_id = budget, key_id
        self._size = self._counted = 0

    def add(self, size: int) -> None:
        """Hold some more; Problem 429 if they are too many."""
        counted = max(0, self._size + size - self._budget.not_counted)
        self._budget.take(self._key_id, counted - self._counted)
        self._size, self._counted = self._size + size, counted

    def release(self) -> None:
        """Hold nothing any more."""
        self._budget.give_back(self._key_id, self._counted)
        self._size = self._counted = 0
