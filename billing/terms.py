"""Terms that decide verdicts (R6, R7, R16): the cap, its scope and the duplicate window, versioned per period."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from billing.errors import InvalidValue
from billing.identity import microseconds

DEFAULT_CAP_MINOR = 10_000

_INSTANTS_FROM = 2**62
"""Above every period, so that the bucket of an instant is never that of another kind of window."""


class CapScope(StrEnum):
    """Over which time the cap counts: one billing period, or all of them."""

    PERIOD = "period"
    LIFETIME = "lifetime"


@dataclass(frozen=True, slots=True)
class DuplicateWindow:
    """How long a winner holds its key: for ever, within the same period of the instants, or for a number of days."""

    kind: Literal["forever", "period", "days"] = "forever"
    days: int = 0

    def covers(self, winner_at: datetime, winner_period: int, occurred_at: datetime, own_period: int) -> bool:
        """Whether a winner at `winner_at` makes an action of the same key at `occurred_at` a duplicate."""
        if self.kind == "forever":
            return True
        if self.kind == "period":
            return winner_period == own_period
        return abs(occurred_at - winner_at) < timedelta(days=self.days)

    def bucket(self, occurred_at: datetime, own_period: int) -> int:
        """The window bucket: a unique key in the database refuses two winners of one key that share it."""
        if self.kind == "forever":
            return 0
        if self.kind == "period":
            return own_period
        return _INSTANTS_FROM + microseconds(occurred_at)


def window_from_wire(value: object) -> DuplicateWindow:
    """Read "forever", "period" or a whole number of days from 1 to 3650."""
    if value == "forever":
        return DuplicateWindow("forever")
    if value == "period":
        return DuplicateWindow("period")
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3650:
        return DuplicateWindow("days", value)
    raise InvalidValue('must be "forever", "period" or a whole number of days from 1 to 3650')


def wire_from_window(window: DuplicateWindow) -> str | int:
    """Write a window as `window_from_wire` reads it."""
    return window.days if window.kind == "days" else window.kind


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed with a partner for a period; `cap_minor` None is no cap."""

    cap_minor: int | None = DEFAULT_CAP_MINOR
    cap_scope: CapScope = CapScope.PERIOD
    window: DuplicateWindow = DuplicateWindow()


class TermsHistory:
    """The versions of a partner's terms by their first period; an action is judged by those of its billing period."""

    __slots__ = ("_starts", "_versions")

    def __init__(self, versions: Iterable[tuple[int, Terms]]) -> None:
        ordered = sorted(versions, key=lambda version: version[0])
        if not ordered:
            raise InvalidValue("a partner has at least one version of terms")
        self._starts = [start for start, _ in ordered]
        self._versions = [terms for _, terms in ordered]

    @property
    def versions(self) -> list[Terms]:
        """All versions, oldest first."""
        return self._versions

    def at(self, period: int) -> Terms:
        """The terms in force for a billing period; the first version counts from the beginning of time."""
        if len(self._versions) == 1:
            return self._versions[0]
        return self._versions[max(bisect_right(self._starts, period) - 1, 0)]
