"""Night-only sources: nearly all actions between 0 and 5 o'clock where the partner is.

Actions at midnight sharp (UTC) are left out: whoever sends only dates sends them so.
"""

from billing.fraud.rule import Figures, Rule, Subject, graded_percent

ENDS_AT_HOUR = 5


def _score(figures: Figures, limits: Figures) -> int:
    if figures["actions"] < limits["actions"]:
        return 0
    return graded_percent(figures["percent"], limits["percent"])


RULE = Rule(
    name="night_only",
    version=1,
    about="a source nearly all of whose actions are between 0 and 5 o'clock in the partner's time zone",
    subject=Subject.SOURCE,
    limits={"actions": 100, "percent": 95},
    score=_score,
    reason="{percent} % of {actions} actions of one source are at night",
)
