"""The audit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from api.schemas.answers.base import Answer
from api.schemas.answers.tasks import Requester


class Who(Requester):
    """An actor; `id` is null for Leadger itself."""

    id: UUID | None


class AuditLine(Answer):
    """Who changed what; `before` and `after` hold what differs."""

    audit_id: int
    at: datetime
    who: Who
    request_id: str
    address: str | None
    what: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
