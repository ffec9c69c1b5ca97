"""API keys."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer


class Key(Answer):
    """A key without its secret."""

    key_id: UUID
    name: str
    scopes: list[str]
    partner: str | None
    maker: str | None = Field(description="the person for whom it stands; null: it was made beside the database")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(Answer):
    """A key with its secret, which is shown nowhere else."""

    key_id: UUID
    name: str
    scopes: list[str]
    partner: str | None
    key: str


class RotatedKey(Answer):
    """The new key with its secret."""

    key_id: UUID
    key: str
    replaces: UUID
    overlap_s: int
