"""Who does something: a person, an API key, or Leadger itself."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg


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


def actor_from_row(row: asyncpg.Record, role: str = "who") -> Actor:
    """The actor whose kind, id and name are the columns of a role: `who_kind`, `who_id`, `who_name`."""
    return Actor(ActorKind(row[f"{role}_kind"]), row[f"{role}_id"], row[f"{role}_name"])


SYSTEM = Actor(ActorKind.SYSTEM, None, "system")
"""Leadger itself: the scheduler, and what a worker does without being asked."""
