"""Fraud rules and held actions."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from api.schemas.answers.base import Answer, Money, Month, Page


class FraudRule(Answer):
    """A rule as it is set; what the newest screens of its version found, all partners and months together."""

    rule: str
    version: int
    about: str
    armed: bool
    threshold: int
    limits: dict[str, int]
    screens: int
    customers: int
    actions: int
    last_screen_at: datetime | None


class HeldAction(Answer):
    """What a held action is; its customer is named by key only."""

    action_id: UUID
    lead_id: str
    partner: str
    product: str
    customer_id: UUID
    action_type: str
    engagement_level: str
    occurred_at: datetime
    billing_period: Month


class Held(Answer):
    """A held action; rule, version, score, facts and the instant are null if a person held it."""

    action: HeldAction
    rule: str | None
    version: int | None
    score: int | None
    facts: dict[str, int] | None
    value: Money
    currency: str
    reason: str | None
    held_at: datetime | None


class AtRisk(Answer):
    """What is held in one currency."""

    currency: str
    actions: int
    value: Money


class HeldPage(Page[Held]):
    """Held actions; the first page says what all of them are worth."""

    at_risk: list[AtRisk] | None


class DecidedAction(Answer):
    """What became of an action that was to be decided."""

    action: UUID
    status: Literal[200, 404, 409]
    detail: str | None
