"""Duplicates (R6): which action holds a key, and which later action it makes a duplicate."""

from collections.abc import Iterable

from billing.actions import Action, Winner
from billing.periods import LAST_PERIOD
from billing.terms import DuplicateWindow

NEVER_RELEASED = LAST_PERIOD + 1


def winner_over(action: Action, holders: Iterable[Winner], window: DuplicateWindow) -> Winner | None:
    """The first of `holders`, given in evaluation order, that makes the action a duplicate.

    Two winners of one key never share an instant within a billing period (every window covers distance zero), so
    (billing period, instant) decides which of two is earlier.
    """
    for winner in holders:
        if (
            action.billing_period < winner.released_from
            and (winner.billing_period, winner.occurred_at) <= (action.billing_period, action.occurred_at)
            and window.covers(winner.occurred_at, winner.own_period, action.occurred_at, action.own_period)
        ):
            return winner
    return None


def winner_from_action(action: Action) -> Winner:
    """An action that now holds its key, as a winner."""
    return Winner(action.id, action.key, action.billing_period, action.own_period, action.occurred_at, NEVER_RELEASED)
