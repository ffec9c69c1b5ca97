"""Valuation (R5): the rate card, its effective-dated rules and which of them prices an action."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from billing.errors import InvalidValue

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_MOST_CACHED = 20_000

Conditions = tuple[UUID | None, UUID | None, str | None, str | None, str | None]
"""(partner, product, lead type key, action type key, level key); None is "any"."""


@dataclass(frozen=True, slots=True)
class RateRule:
    """From `effective_from` on, actions that meet the conditions cost `amount_minor`; None ends the override.

    An ended rule counts for instants before `until` only.
    """

    id: int
    conditions: Conditions
    amount_minor: int | None
    effective_from: datetime = BEGINNING
    until: datetime | None = None

    def counts_at(self, instant: datetime) -> bool:
        """Whether the instant lies in the time for which the rule counts."""
        return self.effective_from <= instant and (self.until is None or instant < self.until)


class Rate(NamedTuple):
    """The price of one action and the rule it comes from."""

    rule_id: int
    amount_minor: int


class InvalidRate(InvalidValue):
    """A rule that can never count. `field` names the field that is wrong, the message says what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class UnpricedAction(Exception):
    """No rule prices the action; the shipped card prices every level, so this card is damaged.

    It is no refusal (`billing.errors`): nobody asked for anything wrong. It is logged and counted as a fault of ours.
    """


class RateCard:
    """The rules that can price the actions of one partner.

    A rule that names more important dimensions wins: (partner, product, lead type, action type, level) compare in that
    order. Among rules that name the same dimensions the latest start at or before the action's instant wins, and of two
    with one start the newer; if its amount is None, those dimensions do not count and the next ones do.
    """

    __slots__ = ("_masks", "_names_partner", "_names_product", "_prices", "_rules", "partner_id")

    def __init__(self, partner_id: UUID, rules: Iterable[RateRule]) -> None:
        self.partner_id = partner_id
        self._rules: dict[Conditions, list[RateRule]] = {}
        for rule in sorted(rules, key=lambda rule: (rule.effective_from, rule.id)):
            if rule.conditions[0] in (None, partner_id):
                self._rules.setdefault(rule.conditions, []).append(rule)
        masks = {tuple(name is not None for name in conditions) for conditions in self._rules}
        self._masks = sorted(masks, reverse=True)
        self._names_partner, self._names_product = (any(mask[place] for mask in masks) for place in (0, 1))
        self._prices: dict[Conditions, tuple[list[datetime], list[Rate | None]]] = {}

    def price(
        self, product_id: UUID, lead_type_key: str, action_type_key: str, level_key: str, occurred_at: datetime
    ) -> Rate:
        """The rate of an action at its own instant; raises UnpricedAction if the card has none for its level."""
        dimensions = (
            self.partner_id if self._names_partner else None,
            product_id if self._names_product else None,
            lead_type_key,
            action_type_key,
            level_key,
        )
        timeline = self._prices.get(dimensions)
        if timeline is None:
            if len(self._prices) >= _MOST_CACHED:
                self._prices.clear()
            timeline = self._prices[dimensions] = self._timeline(dimensions)
        starts, rates = timeline
        rate = rates[bisect_right(starts, occurred_at) - 1]
        if rate is None:
            raise UnpricedAction(f"no rate for engagement level {level_key!r}")
        return rate

    def for_partner(self, partner_id: UUID) -> "RateCard":
        """The same rules, none of which may name a partner, for another one; both remember prices together."""
        assert not self._names_partner
        card = copy(self)
        card.partner_id = partner_id
        return card

    def with_rules(self, rules: Sequence[RateRule]) -> "RateCard":
        """The card with other rules, each in the place of those with its conditions that start no earlier."""
        starts: dict[Conditions, datetime] = {}
        for rule in rules:
            starts[rule.conditions] = min(rule.effective_from, starts.get(rule.conditions, rule.effective_from))
        kept = [
            rule
            for conditions, timeline in self._rules.items()
            for rule in timeline
            if conditions not in starts or rule.effective_from < starts[conditions]
        ]
        return RateCard(self.partner_id, [*kept, *rules]) if rules else self

    def counting(self, conditions: Conditions, instant: datetime) -> int | None:
        """The id of the rule with exactly these conditions that counts at the instant; None if there is none."""
        rule = _latest(self._rules.get(conditions, ()), instant)
        return None if rule is None else rule.id

    def _timeline(self, dimensions: Conditions) -> tuple[list[datetime], list[Rate | None]]:
        """The rates that hold for actions of these dimensions, by the instant from which each holds."""
        matching = [rules for mask in self._masks if (rules := self._rules.get(_masked(dimensions, mask)))]
        bounds = {bound for rules in matching for rule in rules for bound in (rule.effective_from, rule.until)}
        starts = sorted({BEGINNING, *(bound for bound in bounds if bound is not None)})
        return starts, [_rate_at(matching, start) for start in starts]


def _masked(dimensions: Conditions, mask: tuple[bool, ...]) -> Conditions:
    partner, product, lead_type, action_type, level = (
        name if named else None for name, named in zip(dimensions, mask, strict=True)
    )
    return partner, product, lead_type, action_type, level  # type: ignore[return-value]


def _rate_at(matching: list[list[RateRule]], instant: datetime) -> Rate | None:
    for rules in matching:
        latest = _latest(rules, instant)
        if latest is not None and latest.amount_minor is not None:
            return Rate(latest.id, latest.amount_minor)
    return None


def _latest(rules: Sequence[RateRule], instant: datetime) -> RateRule | None:
    """The rule that counts at the instant, of rules with the same conditions in the order of their starts."""
    return next((rule for rule in reversed(rules) if rule.counts_at(instant)), None)
