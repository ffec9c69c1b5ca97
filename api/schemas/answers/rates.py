"""Rate rules."""

from datetime import datetime

from pydantic import Field

from api.schemas.answers.base import Answer, Money
from api.schemas.answers.tasks import TaskStarted


class Rate(Answer):
    """A rate rule."""

    rule_id: int
    partner: str | None
    product: str | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount: Money | None
    effective_from: datetime | None
    created_at: datetime
    task: TaskStarted | None = Field(None, description="re-evaluates the open actions that the rule can price")
