"""Models of attribution: how the amount of a converting action is divided among the touches that led to it.

A touch is an action of the same customer, partner and month that counts, before the converting one; where there is
none, the converting action is its own touch. The parts of an amount add up to it: largest remainder.
"""

from collections.abc import Mapping
from enum import StrEnum


class By(StrEnum):
    """What actions are grouped by."""

    LEAD_TYPE = "lead_type"
    PRODUCT = "product"
    ACTION_TYPE = "action_type"
    ENGAGEMENT_LEVEL = "engagement_level"
    SOURCE = "source"


class Model(StrEnum):
    """Who gets the amount: the first touch, the last one, all equally, or 40 % first, 40 % last, 20 % between."""

    FIRST = "first"
    LAST = "last"
    LINEAR = "linear"
    POSITION = "position"


class Credits:
    """The amounts of converting actions in minor units, as they are credited to the keys of touches.

    Give it all counted actions, customer after customer, each one's in evaluation order. Keys are small numbers. What
    it holds does not grow with the actions.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.by_key: dict[int, int] = {}
        self.next_customer()

    def next_customer(self) -> None:
        """Forget the touches of the customer before."""
        self._touches: dict[int, int] = {}
        self._count = 0
        self._first = self._last = 0

    def add(self, key: int, converted_minor: int) -> None:
        """An action with its key; what was billed for it if it converts, 0 otherwise."""
        if converted_minor:
            for credited, amount_minor in split(converted_minor, self._weights() or {key: 1}).items():
                self.by_key[credited] = self.by_key.get(credited, 0) + amount_minor
        self._touches[key] = self._touches.get(key, 0) + 1
        self._first = key if self._count == 0 else self._first
        self._last = key
        self._count += 1

    def _weights(self) -> Mapping[int, int]:
        if self._count == 0 or self._model is Model.LINEAR:
            return self._touches
        if self._model is Model.FIRST:
            return {self._first: 1}
        if self._model is Model.LAST:
            return {self._last: 1}
        between = self._count - 2
        if between <= 0:
            return self._touches
        weights = dict(self._touches)  # each touch between the ends weighs 1, and each end twice all of these
        for end in (self._first, self._last):
            weights[end] += 2 * between - 1
        return weights


def split(amount_minor: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Divide a positive amount by weights; the parts add up to it, and each is less than one unit from its share.

    What is left over goes to the largest remainders; among equal ones to the smallest keys.
    """
    total = sum(weights.values())
    parts = {key: amount_minor * weight // total for key, weight in weights.items()}
    left = amount_minor - sum(parts.values())
    if left:
        by_remainder = sorted(weights, key=lambda key: (-(amount_minor * weights[key] % total), key))
        for key in by_remainder[:left]:
            parts[key] += 1
    return parts
