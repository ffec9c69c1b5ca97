"""Improbable duplicate rates: a customer who hardly does anything but what they did before."""

from billing.fraud.rule import Figures, Rule, Subject, graded_percent


def _score(figures: Figures, limits: Figures) -> int:
    if figures["actions"] < limits["actions"]:
        return 0
    return graded_percent(figures["percent"], limits["percent"])


RULE = Rule(
    name="duplicate_rate",
    version=1,
    about="a customer nearly all of whose actions repeat an earlier one of the month",
    subject=Subject.CUSTOMER,
    limits={"actions": 50, "percent": 97},
    score=_score,
    reason="{percent} % of {actions} actions of one customer repeat an earlier one",
)
