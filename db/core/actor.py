"""Who does something: a person, an API key, or Leadger itself."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """A person who has signed in, an API key, or Leadger itself when no request is behind a change."""

    USER = "user"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """An actor; `id` is None only for Leadger itself."""

    kind: ActorKind
    id: UUID | None
    name: str


SYSTEM = Actor(ActorKind.SYSTEM, None, "system")
"""Leadger itself: the scheduler, and what a worker does without being asked."""
