"""The workers: their pause, and what waits for them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer


class Pause(Answer):
    """Who had the workers pause, when and why."""

    paused_at: datetime
    paused_by: str = Field(description="the name of the API key")
    reason: str


class Workers(Answer):
    """Whether leads are being decided."""

    state: Literal["running", "paused"]
    pause: Pause | None


class StuckPart(Answer):
    """A part of a batch that waits for long."""

    id: int
    batch_id: UUID
    part: int
    leads: int
    request_id: str
    received_at: datetime
    waited_s: float
    why: str = Field(description="what keeps it from being decided, as far as Postgres can tell")


class Notified(Answer):
    """For how many parts of batches a notification was sent."""

    notified_for: int
    rung_for: int = Field(deprecated=True, description="the former name of `notified_for`; goes with release 0.3")
