"""A lead as it was accepted: validated and normalised, with the caller's spelling kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from billing.identity import RowKeys, microseconds, spelled_once
from billing.texts import text_key

Content = tuple[str, str, datetime]
"""What an action says: its type and level as they compare, and the instant."""


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
    """One action as sent: texts as `billing.texts` cleans them, the instant in UTC; the caller's own id or nothing."""

    action_type: str
    engagement_level: str
    occurred_at: datetime
    external_id: str = ""

    @property
    def content(self) -> Content:
        """What it says: sent again under the same own id, it must be equal (R3)."""
        return text_key(self.action_type), text_key(self.engagement_level), self.occurred_at


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
    """An action as sent, with its row key, its texts as they compare and its occurrence (R3)."""

    id: UUID
    sent: LeadAction
    action_type_key: str
    level_key: str
    occurrence: int


def differing_content(one: Content, other: Content) -> list[str]:
    """In what two actions differ."""
    names = ("type", "level", "instant")
    return [name for name, mine, its in zip(names, one, other, strict=True) if mine != its]


def contradictions(actions: Sequence[LeadAction]) -> list[tuple[int, int]]:
    """Pairs of places in one message whose actions have the same own id and differ (R3)."""
    first: dict[str, int] = {}
    pairs = []
    for place, action in enumerate(actions):
        if action.external_id:
            before = first.setdefault(spelled_once(action.external_id), place)
            if action.content != actions[before].content:
                pairs.append((before, place))
    return pairs


def identified(keys: RowKeys, lead_id: UUID, actions: list[LeadAction]) -> list[IdentifiedAction]:
    """Each action of one message with its identity (R3): identical actions are counted from 0.

    Those with one own id are one action, with the occurrence 0.
    """
    seen: dict[tuple[str, str, int], int] = {}
    own: set[UUID] = set()
    result = []
    for sent in actions:
        if sent.external_id:
            own_id = keys.own_action(lead_id, sent.external_id)
            if own_id not in own:
                own.add(own_id)
                result.append(IdentifiedAction(own_id, sent, *sent.content[:2], 0))
            continue
        type_key, level_key = text_key(sent.action_type), text_key(sent.engagement_level)
        occurred_us = microseconds(sent.occurred_at)
        identity = (type_key, level_key, occurred_us)
        occurrence = seen.get(identity, 0)
        seen[identity] = occurrence + 1
        action_id = keys.action(lead_id, type_key, level_key, occurred_us, occurrence)
        result.append(IdentifiedAction(action_id, sent, type_key, level_key, occurrence))
    return result
