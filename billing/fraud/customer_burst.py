"""Bursts of one customer: more actions within an hour of the clock than a person does."""

from billing.fraud.rule import Figures, Rule, Subject, graded


def _score(figures: Figures, limits: Figures) -> int:
    return graded(figures["actions"], limits["actions"])


RULE = Rule(
    name="customer_burst",
    version=1,
    about="one customer with very many actions within an hour of the clock",
    subject=Subject.CUSTOMER_HOUR,
    limits={"actions": 60},
    score=_score,
    reason="{actions} actions of one customer within an hour",
)
