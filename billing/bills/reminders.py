"""Reminders of bills that are overdue: one per step, a step being so many days after the due date."""

from collections.abc import Iterable


def step_due(steps: Iterable[int], days_overdue: int, reminded: int | None) -> int | None:
    """The last step that is reached, unless the bill was reminded of at it or a later one; None if none is due.

    Steps that were passed over, as while nothing ran, are not made up for: one reminder says it all.
    """
    step = max((each for each in steps if each <= days_overdue), default=None)
    return None if step is None or (reminded is not None and step <= reminded) else step
