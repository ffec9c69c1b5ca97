"""Which bills a list shows, as conditions that an index answers, however many bills there are."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import asyncpg

from billing.bills.callers import Caller
from billing.bills.states import PAID, WRITTEN_OFF, State
from billing.zones import zone
from db.bills import waiting

SHOWN_STATES = (*State, PAID, WRITTEN_OFF)
_HAS_OVERAGE = """content LIKE '%"kind":"overage"%'"""  # as an index has it; in texts quotes have a backslash
_IS_OPEN = """
    shown_state = 'issued' AND (corrects_id IS NULL OR net_minor + tax_minor < 0)
    AND (corrects_id IS NULL OR EXISTS (SELECT FROM account_rests WHERE entry_id = bills.id AND rest_minor > 0))
"""  # the first line as an index has it
_IS_IN_ZONES = """
    due_on < {0} AND {2}::text[] @> ARRAY[(
        SELECT timezone FROM partner_time_zones WHERE partner_id = bills.partner_id AND from_period <= {1}
        ORDER BY from_period DESC LIMIT 1
    )]
"""


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills to list; None is any. `overdue_at` are open ones that were due before that instant's day.

    `state` is the one that is shown, `waiting_for` are those with a move open to somebody, `with_overage` those with a
    line for units above the limit.
    """

    partner_id: UUID | None = None
    period: int | None = None
    state: str | None = None
    overdue_at: datetime | None = None
    number: str | None = None
    is_note: bool | None = None
    corrects_id: UUID | None = None
    issued_only: bool = False
    waiting_for: Caller | None = None
    with_overage: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether they are few enough to be sorted: those of a partner, of a month, with a number or of one bill."""
        return any(each is not None for each in (self.partner_id, self.period, self.number, self.corrects_id))

    @property
    def is_wide(self) -> bool:
        """Whether all states are among them, so that an index of each state has a part of them."""
        others = self.state, self.overdue_at, self.is_note, self.with_overage, self.waiting_for
        return not (self.is_narrow or any(others))


@dataclass(slots=True)
class Where:
    """Conditions of bills with their values; a bill fulfils all of `common` and one of `either`."""

    values: list[object] = field(default_factory=list)
    common: list[str] = field(default_factory=list)
    either: list[str] = field(default_factory=lambda: ["true"])

    def begin(self) -> None:
        """Begin the conditions of another list, whose values stand behind those of the others."""
        self.common, self.either = [], ["true"]

    def numbered(self, condition: str, *values: object) -> str:
        """A condition with the numbers of its values."""
        marks = [f"${len(self.values) + place}" for place in range(1, len(values) + 1)]
        self.values.extend(values)
        return condition.format(*marks)

    def add(self, condition: str, *values: object) -> None:
        """One more condition for all."""
        self.common.append(self.numbered(condition, *values))

    def sources(self, tables: str = "bills") -> list[str]:
        """What to select from, each bill in one of them at most."""
        return [f"{tables} WHERE {' AND '.join([*self.common, each])}" for each in self.either]


async def add(connection: asyncpg.Connection, where: Where, only: BillFilter) -> None:
    """What was asked only: a plan that serves every filter finds none of them by its index."""
    if only.partner_id is not None:
        where.add("partner_id = {}", only.partner_id)
    if only.period is not None:
        where.add("period = {}", only.period)
    if only.state is not None:
        where.add("shown_state = {}", only.state)
    if only.overdue_at is not None:
        _add_overdue(where, await today_by_zone(connection, only.overdue_at))
    if only.number is not None:
        where.add("number = {}", only.number)
    if only.is_note is not None:
        where.add(f"corrects_id IS {'NOT ' if only.is_note else ''}NULL")
    if only.corrects_id is not None:
        where.add("corrects_id = {}", only.corrects_id)
    if only.issued_only:
        where.add("issued_at IS NOT NULL")
    if only.with_overage:
        where.add(_HAS_OVERAGE)
    if only.waiting_for is not None:
        conditions = await waiting.conditions(connection, only.waiting_for)
        where.either = [where.numbered(condition, *values) for condition, values in conditions]


async def today_by_zone(connection: asyncpg.Connection, now: datetime) -> dict[str, date]:
    """The day of an instant in every time zone that a partner has."""
    rows = await connection.fetch("SELECT DISTINCT timezone FROM partner_time_zones")
    return {row["timezone"]: now.astimezone(zone(row["timezone"])).date() for row in rows}


def _add_overdue(where: Where, today: Mapping[str, date]) -> None:
    """Where a bill was due before the first of these days, it is overdue in every zone; only else its zone matters."""
    zones: dict[date, list[str]] = defaultdict(list)
    for timezone, day in today.items():
        zones[day].append(timezone)
    first, *others = sorted(zones) or [date.min]
    later = [where.numbered(_IS_IN_ZONES, day, day.year * 100 + day.month, zones[day]) for day in others]
    where.add(_IS_OPEN)
    where.add("coalesce(due_on, 'infinity') < {}", max(zones, default=first))  # as an index has it
    where.common.append(f"({' OR '.join([where.numbered('due_on < {}', first), *later])})")
