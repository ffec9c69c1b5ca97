"""Intervals as regular as a machine's: the times between a customer's actions hardly differ.

Actions at midnight sharp (UTC) are left out: whoever sends only dates sends them so. The spread is the standard
deviation of the intervals, in thousandths of their mean.
"""

from billing.fraud.rule import AT_LIMIT, MOST_SCORE, Figures, Rule, Subject


def _score(figures: Figures, limits: Figures) -> int:
    if figures["actions"] < limits["actions"] or figures["interval_s"] < 1:
        return 0
    return max(MOST_SCORE - AT_LIMIT * figures["spread_permille"] // limits["spread_permille"], 0)


RULE = Rule(
    name="regular_intervals",
    version=1,
    about="a customer whose actions follow each other at the same interval, like a machine's",
    subject=Subject.CUSTOMER,
    limits={"actions": 20, "spread_permille": 20},
    score=_score,
    reason="{actions} actions of one customer every {interval_s} s",
)
