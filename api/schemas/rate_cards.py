"""What the routes of rate cards take and give."""

from typing import Any

from pydantic import Field

from api.schemas.fields import Body, Id, Instant, Level, RateAmount, Text
from api.wire import amount_out, instant_out
from db.masters.rates import StoredRate


class RateIn(Body):
    """A rate rule; what is not named applies to any. An amount of null ends the override."""

    partner: Id | None = None
    product: Id | None = None
    lead_type: Text | None = None
    action_type: Text | None = None
    engagement_level: Level | None = None
    amount: RateAmount | None
    effective_from: Instant | None = Field(None, description="by default as early as closed periods allow")


def rate_out_from_stored_rate(rate: StoredRate) -> dict[str, Any]:
    """A rate rule."""
    return {
        "rule_id": rate.id,
        "partner": rate.partner,
        "product": rate.product,
        "lead_type": rate.lead_type,
        "action_type": rate.action_type,
        "engagement_level": rate.engagement_level,
        "amount": amount_out(rate.amount_minor),
        "effective_from": instant_out(rate.effective_from),
        "created_at": instant_out(rate.created_at),
    }
