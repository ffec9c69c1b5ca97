"""A lead as it was accepted: validated and normalised, with the caller's spelling kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from billing.identity import RowKeys, microseconds
from billing.texts import text_key


class EngagementLevel(StrEnum):
    """The three levels; what a caller sends compares by its `text_key`."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(slots=True)
class Person:
    """A customer described inside a lead (R12); the e-mail is as `db.masters.emails` has it."""

    name: str
    email: str


@dataclass(slots=True)
class LeadAction:
    """One action as sent: texts as `billing.texts` cleans them, the instant in UTC."""

    action_type: str
    engagement_level: str
    occurred_at: datetime


@dataclass(slots=True)
class Lead:
    """One lead as sent. `index` is its position in the request, which problems name."""

    index: int
    source: str
    external_id: str
    customer: str
    product: str
    lead_type: str
    created_at: datetime | None
    person: Person | None
    actions: list[LeadAction]

    @property
    def identity(self) -> tuple[str, str]:
        """(source, lead id), see R1."""
        return self.source, self.external_id


class IdentifiedAction(NamedTuple):
    """An action as sent, with its row key and the parts of the key that are not the lead or the instant (R3)."""

    id: UUID
    sent: LeadAction
    action_type_key: str
    level_key: str
    occurrence: int


def identified(keys: RowKeys, lead_id: UUID, actions: list[LeadAction]) -> list[IdentifiedAction]:
    """Each action of one message with its identity (R3): identical actions are counted from 0."""
    seen: dict[tuple[str, str, int], int] = {}
    result = []
    for sent in actions:
        type_key, level_key = text_key(sent.action_type), text_key(sent.engagement_level)
        occurred_us = microseconds(sent.occurred_at)
        identity = (type_key, level_key, occurred_us)
        occurrence = seen.get(identity, 0)
        seen[identity] = occurrence + 1
        action_id = keys.action(lead_id, type_key, level_key, occurred_us, occurrence)
        result.append(IdentifiedAction(action_id, sent, type_key, level_key, occurrence))
    return result
