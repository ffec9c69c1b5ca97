"""The cap (R7): how much of each action is billed, as the evaluation goes through the billing periods."""

from collections.abc import Mapping

from billing.actions import Action
from billing.terms import CapScope


class CapAccount:
    """How much of the cap one customer has used, as the evaluation goes through the periods (R7)."""

    __slots__ = ("_before_minor", "_credited_by_period", "_period", "_used_by_period", "_used_minor")

    def __init__(self, used_minor: Mapping[int, int], credited_minor: Mapping[int, int]) -> None:
        """`used_minor` and `credited_minor` are by billing period, see `billing.evaluate.State`."""
        self._used_by_period = used_minor
        self._credited_by_period = credited_minor
        self._period = 0
        self._used_minor = 0
        self._before_minor = 0

    def bill(self, action: Action, cap_minor: int | None, scope: CapScope) -> int:
        """Bill as much of the action as the cap leaves room for, and return it in minor units."""
        if action.billing_period != self._period:
            self._enter(action.billing_period)
        billed = action.value_minor
        if cap_minor is not None:
            used = self._used_minor + (self._before_minor if scope is CapScope.LIFETIME else 0)
            billed = min(billed, max(cap_minor - used, 0))
        self._used_minor += billed
        return billed

    def _enter(self, period: int) -> None:
        """Go on to a later period: what earlier periods billed, less credits, counts against a lifetime cap."""
        used, credited = self._used_by_period, self._credited_by_period
        self._before_minor += self._used_minor
        self._before_minor += sum(minor for p, minor in used.items() if self._period < p < period)
        self._before_minor -= sum(minor for p, minor in credited.items() if self._period < p <= period)
        self._used_minor = used.get(period, 0)
        self._period = period
