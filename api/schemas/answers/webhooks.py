"""Webhooks and what was sent to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer


class Webhook(Answer):
    """A webhook without its secret; `failures` are those in a row."""

    webhook_id: UUID
    url: str
    events: list[str]
    partner: str | None = Field(description="the only partner that it hears of; null: all")
    created_at: datetime
    failures: int
    failing_since: datetime | None
    disabled_at: datetime | None = Field(description="after five days of failures, or when the receiver answered 410")


class NewWebhook(Webhook):
    """A webhook with its secret, which is shown nowhere else."""

    secret: str


class NewSecret(Answer):
    """The new secret of a webhook, which is shown nowhere else."""

    webhook_id: UUID
    secret: str
    overlap_s: int


class MessageWritten(Answer):
    """Where to see what becomes of a message."""

    deliveries_url: str


class Attempt(Answer):
    """One try: the status and the first bytes of the answer, or an error of ours."""

    at: datetime
    duration_ms: int
    status: int | None
    answer: str | None
    error: str | None


class Delivery(Answer):
    """A message for a webhook with its attempts, the oldest first."""

    delivery_id: int
    message_id: UUID = Field(description="the header `webhook-id` of every try")
    event: str
    body: dict[str, Any]
    state: str
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[Attempt]
