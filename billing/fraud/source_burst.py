"""Bursts of one source: an hour of the clock with many times more actions than its usual hour."""

from billing.fraud.rule import Figures, Rule, Subject, graded


def _score(figures: Figures, limits: Figures) -> int:
    return graded(figures["actions"], max(limits["actions"], limits["times_usual"] * figures["usual"]))


RULE = Rule(
    name="source_burst",
    version=1,
    about="a source with many times more actions within an hour of the clock than in its median hour",
    subject=Subject.SOURCE_HOUR,
    limits={"actions": 500, "times_usual": 10},
    score=_score,
    reason="{actions} actions of one source within an hour, against {usual} in its usual one",
)
