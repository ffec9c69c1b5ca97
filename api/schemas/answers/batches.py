"""What became of the leads of one request."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer, FieldError


class Accepted(Answer):
    """The leads are stored durably."""

    batch_id: UUID
    accepted: int
    status_url: str
    rejected: list[FieldError] | None = Field(None, description="only with ?partial=true")


class LeadCounts(Answer):
    """How many leads became what."""

    new: int
    extended: int
    replayed: int
    quarantined: int
    dead: int | None = Field(None, description="only if a fault kept some from being decided")


class ActionCounts(Answer):
    """How many actions became what."""

    billed: int
    partly_billed: int
    capped: int
    duplicate: int
    held: int
    replayed: int
    quarantined: int


class LeadProblem(Answer):
    """Why a lead of a batch was quarantined."""

    index: int
    lead_id: str
    reason: Literal["unknown_product", "unknown_customer", "conflict", "action_conflict"]
    detail: str


class Batch(Answer):
    """What became of the leads of one request, as decided at done_at."""

    batch_id: UUID
    state: Literal["waiting", "done"]
    received_at: datetime
    done_at: datetime | None
    accepted: int
    leads: LeadCounts
    actions: ActionCounts
    problems: list[LeadProblem]
