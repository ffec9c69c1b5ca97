"""Which part of a duplicate key no winner covers: where an action would be a winner itself (R6).

When a key loses a winner, only the first actions of these spans can become winners. All others stay duplicates, so
they need not be read, however many they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from billing.actions import Winner
from billing.periods import Calendar
from billing.terms import DuplicateWindow

_EARLIEST, _LATEST = datetime(1800, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Place = tuple[UUID, int]
"""(lead, occurrence): the order of actions that share their key and their instant."""

_FIRST: Place = (UUID(int=0), 0)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a key in a billing period: from the instant `start` on, before the place `before` of instant `end`."""

    key: UUID
    period: int
    start: datetime
    end: datetime
    before: Place


def uncovered(
    key: UUID,
    period: int,
    winners: Iterable[Winner],
    places: Mapping[UUID, Place],
    window: DuplicateWindow,
    calendar: Calendar,
) -> list[Span]:
    """The spans of a key in a billing period in which no winner makes an action a duplicate.

    `window` is that of the period; `places` are those of winners by action id, as far as they are known.
    """
    covered = []
    for winner in winners:
        if winner.billing_period > period or period >= winner.released_from:
            continue
        start, until = _covered_by(winner, window, calendar)
        place = _FIRST
        if winner.billing_period == period:  # it comes before what it covers
            start, place = winner.occurred_at, places.get(winner.action_id, _FIRST)
        covered.append((start, place, until))
    spans = []
    at = _EARLIEST
    for start, place, until in sorted(covered):
        if (start, place) > (at, _FIRST):
            spans.append(Span(key, period, at, start, place))
        at = max(at, until)
    if at < _LATEST:
        spans.append(Span(key, period, at, _LATEST, _FIRST))
    return spans


def _covered_by(winner: Winner, window: DuplicateWindow, calendar: Calendar) -> tuple[datetime, datetime]:
    """From which instant on, and until before which, `window` covers actions of the winner's key."""
    if window.kind == "forever":
        return _EARLIEST, _LATEST
    if window.kind == "period":
        return calendar.start_of(winner.own_period), calendar.end_of(winner.own_period)
    days = timedelta(days=window.days)
    return winner.occurred_at - days + _MICROSECOND, winner.occurred_at + days
