"""Actions at instants that cannot be: before their lead was created, or after Leadger had received it."""

from billing.fraud.rule import Figures, Rule, Subject, graded


def _score(figures: Figures, limits: Figures) -> int:
    return max(graded(figures[name], limits[name]) for name in ("early_s", "ahead_s"))


RULE = Rule(
    name="impossible_instants",
    version=1,
    about="an action long before its lead was created, or long after it was received",
    subject=Subject.ACTION,
    limits={"early_s": 3600, "ahead_s": 3600},
    score=_score,
    reason="{early_s} s before its lead was created, {ahead_s} s after it was received",
)
