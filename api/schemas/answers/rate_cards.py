"""Rate rules."""

from datetime import datetime

from pydantic import Field

from api.schemas.answers.base import Answer, Money
from api.schemas.answers.tasks import TaskStarted


class RateCounts(Answer):
    """The time for which a rule counts for the partner that was asked for."""

    ever: bool = Field(description="false: it ended before it counted in a closed period")
    since: datetime | None = Field(description="null: the beginning of time")
    until: datetime | None = Field(description="null: it has not ended")


class Rate(Answer):
    """A rate rule. None is ever overwritten: one that was changed has ended, and another one has taken its place."""

    rule_id: int
    partner: str | None
    product: str | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount: Money | None
    effective_from: str | None = Field(
        description="an instant, a month of each partner, or null: the beginning of time, and for a partner that had "
        "closed periods the first open one"
    )
    created_at: datetime
    created_by: str | None = Field(description="null: it came with Leadger")
    ended_at: datetime | None = Field(description="from then on it counts in closed periods only")
    ended_by: str | None
    replaces: list[int]
    replaced_by: int | None
    counts: RateCounts | None = Field(description="null unless a partner is asked for")
    task: TaskStarted | None = Field(None, description="re-evaluates the open actions that the rule can price")
