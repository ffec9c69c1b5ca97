"""Why a month's bill differs from that of the month before: causes in minor units that add up to the difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

from billing.money import minor_from_exact


class Cause(StrEnum):
    """What changed.

    `volume` is more or fewer actions at last month's average value, `mix` other kinds of them, `price` other values of
    the same kinds; all three without `new_customers`, who had no action last month. `returns` are held ones, too.
    """

    VOLUME = "volume"
    MIX = "mix"
    PRICE = "price"
    NEW_CUSTOMERS = "new_customers"
    DUPLICATES = "duplicates"
    CAP = "cap"
    RETURNS = "returns"
    OVERAGE = "overage"
    ADJUSTMENTS = "adjustments"


class Kind(NamedTuple):
    """How many actions of one kind there are, and their value."""

    actions: int
    gross_minor: int


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """What makes the net amount of a month; `kinds` are the actions of customers who are not new, by what they are."""

    net_minor: int
    kinds: Mapping[Any, Kind]
    new_customers_minor: int = 0
    duplicates_minor: int = 0
    cap_minor: int = 0
    returns_minor: int = 0
    overage_minor: int = 0
    adjustments_minor: int = 0


def causes(before: MonthFigures, now: MonthFigures) -> dict[Cause, int]:
    """What each cause adds to the net amount; in sum exactly the difference."""
    gross_before, gross_now = _gross(before), _gross(now)
    actions_before = sum(kind.actions for kind in before.kinds.values())
    actions_now = sum(kind.actions for kind in now.kinds.values())
    average = Fraction(gross_before, actions_before) if actions_before else Fraction(0)
    volume = minor_from_exact((actions_now - actions_before) * average) if actions_before else 0
    price = sum(_price(before.kinds.get(name), kind) for name, kind in now.kinds.items())
    return {
        Cause.VOLUME: volume,
        Cause.MIX: gross_now - gross_before - volume - price,
        Cause.PRICE: price,
        Cause.NEW_CUSTOMERS: now.new_customers_minor - before.new_customers_minor,
        Cause.DUPLICATES: before.duplicates_minor - now.duplicates_minor,
        Cause.CAP: before.cap_minor - now.cap_minor,
        Cause.RETURNS: before.returns_minor - now.returns_minor,
        Cause.OVERAGE: now.overage_minor - before.overage_minor,
        Cause.ADJUSTMENTS: now.adjustments_minor - before.adjustments_minor,
    }


def _gross(month: MonthFigures) -> int:
    return sum(kind.gross_minor for kind in month.kinds.values())


def _price(before: Kind | None, now: Kind) -> int:
    """What the same actions would not have cost last month; kinds that are new have no other price."""
    if before is None or not before.actions:
        return 0
    return now.gross_minor - minor_from_exact(Fraction(now.actions * before.gross_minor, before.actions))
