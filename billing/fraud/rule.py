"""What a fraud rule is: a score for a group of actions, from a few figures about it and the limits that are set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from billing.errors import InvalidValue

Figures = Mapping[str, int]
"""Whole numbers by name: what was counted of a group, or what is the limit."""

AT_LIMIT = 50
"""The score of a figure at its limit, and the threshold of a rule unless an Admin sets another one."""
MOST_SCORE = 100
_MOST_LIMIT = 1_000_000


class Subject(StrEnum):
    """Which actions of a partner and a month a rule looks at together."""

    ACTION = "action"
    CUSTOMER = "customer"
    CUSTOMER_HOUR = "customer_hour"
    """Those of one customer within one hour of the clock, in UTC."""
    SOURCE = "source"
    SOURCE_HOUR = "source_hour"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of rule; its version rises with every change of what it finds.

    `score` gives 0 to 100 for figures and limits. `reason` says in words what was found, with figures by name.
    """

    name: str
    version: int
    about: str
    subject: Subject
    limits: Figures
    score: Callable[[Figures, Figures], int]
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a group of actions: `facts` are its figures and the limits, and name nobody."""

    score: int
    facts: Figures


@dataclass(frozen=True, slots=True)
class SetRule:
    """A rule as it is set: armed or in shadow, with a threshold and limits."""

    rule: Rule
    armed: bool
    threshold: int
    limits: Figures

    def judge(self, figures: Figures) -> Finding | None:
        """The finding for a group; None below the threshold."""
        score = self.rule.score(figures, self.limits)
        if score < self.threshold:
            return None
        return Finding(score, {**figures, **{f"limit_{name}": limit for name, limit in self.limits.items()}})

    def least(self, name: str) -> int:
        """The smallest graded figure whose score reaches the threshold, where the limit of that name stands."""
        return -(-self.threshold * self.limits[name] // AT_LIMIT)

    def reason(self, finding: Finding) -> str:
        """Why the actions of a group are held, as one phrase."""
        said = self.rule.reason.format(**finding.facts)
        return f"{said}: fraud rule {self.rule.name}, version {self.rule.version}, score {finding.score}"


def graded(figure: int, limit: int) -> int:
    """The score of a figure that should be small: 50 at the limit, 100 from twice the limit on."""
    return min(AT_LIMIT * figure // limit, MOST_SCORE)


def graded_percent(percent: int, limit: int) -> int:
    """The score of a share that should be small: 50 at the limit, 100 at 100 %."""
    if percent < limit:
        return AT_LIMIT * percent // limit
    return AT_LIMIT + (AT_LIMIT * (percent - limit) // (100 - limit) if limit < 100 else AT_LIMIT)


def check_limits(rule: Rule, limits: Figures) -> None:
    """Raise InvalidValue for a limit that the rule does not have, or that is no number it can work with."""
    for name, limit in limits.items():
        if name not in rule.limits:
            known = ", ".join(rule.limits) or "none"
            raise InvalidValue(f"{name!r} is no limit of {rule.name}; its limits: {known}")
        most = 100 if name == "percent" else _MOST_LIMIT
        if not 1 <= limit <= most:
            raise InvalidValue(f"{name} must be from 1 to {most:,}")
