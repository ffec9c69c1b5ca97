"""Units of work on a transaction that a test has opened."""

from uuid import UUID

import asyncpg

from db.core.actor import Actor, ActorKind
from db.core.unit_of_work import UnitOfWork


def asked_by(name: str, connection: asyncpg.Connection) -> UnitOfWork:
    """What a request with the API key of this name opens; what it would send is forgotten."""
    return UnitOfWork(connection, Actor(ActorKind.KEY, UUID(int=0), name), "test")
