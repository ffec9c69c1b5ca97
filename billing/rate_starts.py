"""From when a rule of the rate card counts for one partner, and until when (R5, R16).

A rule starts at an instant or with a period, which begins when the partner's own calendar says so. For a partner that
has closed periods it may start later, with the first one that is open: then the partner has a span of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from billing.errors import RuleViolation
from billing.periods import Calendar, name_of_period
from billing.policy import PartnerCalendar
from billing.rates import BEGINNING, Conditions, RateRule

Start = datetime | int | None
"""An instant, a period like 202405, or None for the beginning of time."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a rule counts otherwise for one partner: from a later period on, or, once it has ended, until a period."""

    from_period: int | None = None
    until_period: int | None = None


@dataclass(frozen=True, slots=True)
class CardRule:
    """A rule as the card has it, for all partners that it touches."""

    id: int
    conditions: Conditions
    amount_minor: int | None
    start: Start = None
    is_ended: bool = False

    def of_partner(self, calendar: Calendar, span: Span = Span()) -> RateRule | None:
        """The rule as it counts for a partner; None if it never does."""
        starts_at = start_of_rule(self.start if span.from_period is None else span.from_period, calendar)
        ends_at = None if span.until_period is None else calendar.start_of(span.until_period)
        if self.is_ended and (ends_at is None or ends_at <= starts_at):
            return None
        return RateRule(self.id, self.conditions, self.amount_minor, starts_at, ends_at if self.is_ended else None)


def start_of_rule(start: Start, calendar: Calendar) -> datetime:
    """The instant at which a rule with this start begins to count for the partner of the calendar."""
    if start is None:
        return BEGINNING
    return start if isinstance(start, datetime) else calendar.start_of(start)


def check_start(partners: Iterable[PartnerCalendar], asked: Start) -> None:
    """RuleViolation if a rule that touches these partners would start in a closed period of one of them."""
    closing = [partner for partner in partners if partner.first_open]
    if asked is None or not closing:
        return
    if isinstance(asked, datetime):
        earliest = max(partner.calendar.start_of(partner.first_open) for partner in closing)
        if asked < earliest:
            raise RuleViolation(
                "The rule would start in a closed period of a partner it touches; it can start at "
                f"{_utc_text(earliest)} or later, or without a start with the first open period of each partner."
            )
        return
    first_open = max(partner.first_open for partner in closing)
    if asked < first_open:
        raise RuleViolation(
            f"The rule cannot start in {name_of_period(asked)}, which a partner that it touches has closed; it can "
            f"start in {name_of_period(first_open)} or later, or without a start with the first open period of each."
        )


def later_starts(partners: Iterable[PartnerCalendar], start: Start, known: Mapping[UUID, Span]) -> dict[UUID, int]:
    """The partners for which a rule with this start begins later, and with which period: their first open one.

    `known` are spans that the rule, or the one whose place it takes, has already. Of `partners`, those without closed
    periods may be left out: for them nothing changes.
    """
    later = {partner_id: span.from_period for partner_id, span in known.items() if span.from_period is not None}
    return later | ends(partners, start, known)


def ends(partners: Iterable[PartnerCalendar], start: Start, known: Mapping[UUID, Span]) -> dict[UUID, int]:
    """The partners for which a rule that ends now has counted in closed periods, and until which period it counts."""
    return {
        partner.partner_id: partner.first_open
        for partner in partners
        if _is_before(_begins(start, known.get(partner.partner_id)), partner)
    }


def _begins(start: Start, span: Span | None) -> Start:
    return start if span is None or span.from_period is None else span.from_period


def _is_before(start: Start, partner: PartnerCalendar) -> bool:
    if not partner.first_open:
        return False
    if isinstance(start, int):
        return start < partner.first_open
    return start_of_rule(start, partner.calendar) < partner.calendar.start_of(partner.first_open)


def _utc_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
