"""When a reminder is due (B6): once at each step."""

import pytest

from billing.bills.reminders import step_due


@pytest.mark.parametrize(
    ("overdue", "reminded", "step"),
    [
        (2, None, None),
        (3, None, 3),
        (13, None, 3),
        (13, 3, None),
        (14, 3, 14),
        (40, None, 30),  # nothing ran for a month: one reminder, not three
        (40, 3, 30),
        (400, 30, None),
        (20, 30, None),  # the steps were changed since
    ],
)
def test_b06_a_reminder_is_due_once_at_each_step(overdue: int, reminded: int | None, step: int | None) -> None:
    assert step_due((3, 14, 30), overdue, reminded) == step
    assert step_due((30, 3, 14), overdue, reminded) == step
    assert step_due((), overdue, reminded) is None
