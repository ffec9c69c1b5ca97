"""What the routes of rate cards take and give."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.fields import Body, Id, Level, RateAmount, Start, Text
from api.wire import amount_out, instant_out
from billing.periods import Calendar, text_from_period
from billing.rate_starts import CardRule, Span
from billing.rates import BEGINNING
from db.masters.rates import StoredRate


class RateIn(Body):
    """A rate rule; what is not named applies to any. An amount of null ends the override."""

    partner: Id | None = None
    product: Id | None = None
    lead_type: Text | None = None
    action_type: Text | None = None
    engagement_level: Level | None = None
    amount: RateAmount | None
    effective_from: Start | None = Field(
        None, description="an instant, or a month of each partner; by default the first open period of each"
    )


class RateChangeIn(Body):
    """Another amount for a rule; null ends the override."""

    amount: RateAmount | None


def rate_out_from_stored_rate(stored: StoredRate, calendar: Calendar | None = None) -> dict[str, Any]:
    """A rate rule; with the calendar of a partner, from when until when it counts for that partner."""
    rate = stored.rate
    return {
        "rule_id": stored.id,
        "partner": stored.partner,
        "product": stored.product,
        "lead_type": rate.lead_type,
        "action_type": rate.action_type,
        "engagement_level": rate.engagement_level,
        "amount": amount_out(rate.amount_minor),
        "effective_from": _start_out(rate.start),
        "created_at": instant_out(stored.created_at),
        "created_by": stored.created_by,
        "ended_at": instant_out(stored.ended_at),
        "ended_by": stored.ended_by,
        "replaces": list(stored.replaces),
        "replaced_by": stored.replaced_by,
        "counts": None if calendar is None else _counts_out(stored, calendar),
    }


def _start_out(start: datetime | int | None) -> str | None:
    return text_from_period(start) if isinstance(start, int) else instant_out(start)


def _counts_out(stored: StoredRate, calendar: Calendar) -> dict[str, Any]:
    """The time for which a rule counts for one partner; without a beginning or an end, both are null."""
    span = next(iter(stored.spans.values()), Span())
    conditions = (None, None, None, None, None)
    card_rule = CardRule(stored.id, conditions, stored.rate.amount_minor, stored.rate.start, bool(stored.ended_at))
    rule = card_rule.of_partner(calendar, span)
    if rule is None:
        return {"ever": False, "since": None, "until": None}
    since = None if rule.effective_from == BEGINNING else rule.effective_from
    return {"ever": True, "since": instant_out(since), "until": instant_out(rule.until)}
