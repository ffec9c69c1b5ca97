"""The rate card (R5): which price an action has at its instant."""

from datetime import UTC, datetime
from typing import NamedTuple

from tests.oracle.values import Refused, fold, minor_units, plain_id

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


class RateCard:
    """All rules, from the shipped ones on. Amounts in minor units; None ends an override."""

    def __init__(self) -> None:
        self._rules: dict[Dimensions, dict[datetime, int | None]] = {}
        self._specificities: list[tuple[bool, ...]] = []
        for level, amount in DEFAULTS.items():
            self.add(dimensions(None, None, None, None, level), ALWAYS, minor_units(amount))
        for lead_type, action_type, level, amount in SHIPPED:
            self.add(dimensions(None, None, lead_type, action_type, level), ALWAYS, minor_units(amount))

    def add(self, conditions: Dimensions, start: datetime, amount_minor: int | None) -> None:
        """Add a rule. Raises Refused if there is one with the same conditions and start."""
        starts = self._rules.setdefault(conditions, {})
        if start in starts:
            raise Refused(f"there is a rule for {conditions} from {start} already")
        starts[start] = amount_minor
        self._specificities = sorted({rule.named() for rule in self._rules}, reverse=True)

    def price(self, action: Dimensions, at: datetime) -> int:
        """The price in minor units: the most specific rule in force whose override has not ended."""
        for named in self._specificities:
            starts = self._rules.get(action.only(named), {})
            begun = [start for start in starts if start <= at]
            amount = starts[max(begun)] if begun else None
            if amount is not None:
                return amount
        # Even if somebody ends the default of a level, an action is priced by its level, never 0.
        return minor_units(DEFAULTS[str(action.level)])
