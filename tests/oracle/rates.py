"""The rate card (R5): which price an action has at its instant."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from tests.oracle.periods import Calendar
from tests.oracle.values import fold, minor_units, plain_id

DEFAULTS = {"high": "10.00", "medium": "5.00", "low": "2.00"}
SHIPPED = [
    ("Email Campaign", "Click", "High", "15.00"),
    ("Referral", "Signup", "High", "20.00"),
    ("Conference", "Attendance", "High", "15.00"),
]
ALWAYS = datetime.min.replace(tzinfo=UTC)


class Dimensions(NamedTuple):
    """What a rule names, strongest first; None is not named. An action has all five."""

    partner: str | None
    product: str | None
    lead_type: str | None
    action_type: str | None
    level: str | None

    def named(self) -> tuple[bool, ...]:
        """Which dimensions are named. These tuples compare in the order of specificity."""
        return tuple(value is not None for value in self)

    def only(self, named: tuple[bool, ...]) -> "Dimensions":
        """The same values, but for the dimensions that are not to be named."""
        return Dimensions(*(value if keep else None for value, keep in zip(self, named, strict=True)))


def dimensions(
    partner: str | None,
    product: str | None,
    lead_type: str | None,
    action_type: str | None,
    level: str | None,
) -> Dimensions:
    """The conditions of a rule in the form in which they are compared."""
    return Dimensions(
        None if partner is None else plain_id(partner),
        None if product is None else plain_id(product),
        None if lead_type is None else fold(lead_type),
        None if action_type is None else fold(action_type),
        None if level is None else fold(level),
    )


@dataclass
class Rule:
    """A rule of the card. `start` is its own; `later` and `until` are periods of single partners.

    An ended rule counts for a partner until the period in `until`, and never for one that is not named there.
    """

    number: int
    conditions: Dimensions
    amount_minor: int | None
    start: datetime | str
    later: dict[str, str] = field(default_factory=dict)
    until: dict[str, str] | None = None

    def begins(self, partner: str, calendar: Calendar) -> datetime:
        """From when it counts for a partner."""
        start = self.later.get(partner, self.start)
        return calendar.start(start) if isinstance(start, str) else start

    def counts(self, partner: str, calendar: Calendar, at: datetime) -> bool:
        """Whether it counts for an action of a partner."""
        if at < self.begins(partner, calendar):
            return False
        return self.until is None or (partner in self.until and at < calendar.start(self.until[partner]))


class RateCard:
    """All rules, from the shipped ones on. Amounts in minor units; None ends an override."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        for level, amount in DEFAULTS.items():
            self.add(dimensions(None, None, None, None, level), ALWAYS, minor_units(amount))
        for lead_type, action_type, level, amount in SHIPPED:
            self.add(dimensions(None, None, lead_type, action_type, level), ALWAYS, minor_units(amount))

    def add(
        self,
        conditions: Dimensions,
        start: datetime | str,
        amount_minor: int | None,
        later: dict[str, str] | None = None,
    ) -> Rule:
        """Add a rule."""
        rule = Rule(len(self.rules), conditions, amount_minor, start, later or {})
        self.rules.append(rule)
        return rule

    def same(self, conditions: Dimensions, start: datetime | str) -> Rule | None:
        """The rule in force with the same conditions and start."""
        for rule in self.rules:
            if rule.until is None and (rule.conditions, rule.start) == (conditions, start):
                return rule
        return None

    def price(self, action: Dimensions, at: datetime, calendar: Calendar) -> int:
        """The price in minor units: the most specific rule in force whose override has not ended."""
        partner = str(action.partner)
        for named in sorted({rule.conditions.named() for rule in self.rules}, reverse=True):
            rule = self.counting(action.only(named), partner, at, calendar)
            if rule is not None and rule.amount_minor is not None:
                return rule.amount_minor
        raise AssertionError(f"no price for {action}")

    def counting(self, conditions: Dimensions, partner: str, at: datetime, calendar: Calendar) -> Rule | None:
        """The rule with these conditions that counts: the latest start, and of two with one start the newer."""
        counting = [r for r in self.rules if r.conditions == conditions and r.counts(partner, calendar, at)]
        return max(counting, key=lambda r: (r.begins(partner, calendar), r.number), default=None)
