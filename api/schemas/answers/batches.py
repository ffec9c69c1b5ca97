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


class PossibleCorrection(Answer):
    """An action of a known lead that differs from a stored one in one thing: both count until one is corrected."""

    index: int
    lead_id: str
    action_id: UUID
    stored_action_id: UUID
    differs: Literal["engagement_level", "action_type"]
    stored: str
    sent: str


class BatchCounts(Answer):
    """What became of the leads of one request, as decided at done_at, in numbers."""

    batch_id: UUID
    state: Literal["waiting", "done"]
    received_at: datetime
    done_at: datetime | None
    accepted: int
    leads: LeadCounts
    actions: ActionCounts
    possible_correction_count: int


class Batch(BatchCounts):
    """What became of the leads of one request."""

    problems: list[LeadProblem] = Field(description="the first 100")
    problems_next: str | None = Field(description="`after` for the rest, at /leads/batches/{batch_id}/problems")
    possible_corrections: list[PossibleCorrection] = Field(description="the first 100")
    possible_corrections_next: str | None = Field(
        description="`after` for the rest, at /leads/batches/{batch_id}/possible-corrections"
    )
