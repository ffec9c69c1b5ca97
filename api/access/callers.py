"""Which caller a key or a session stands for."""

import asyncpg

from api.access.permissions import ROLES, Caller, Permission
from db.access import api_keys, sessions
from db.access.api_keys import ApiKey
from db.access.sessions import Session
from db.core.actor import Actor, ActorKind

_PERMISSIONS = frozenset(Permission)


async def find_key(connection: asyncpg.Connection, secret: str) -> Caller | None:
    """The caller with this key if it is valid now."""
    key = await api_keys.find_valid(connection, secret)
    return caller_from_key(key) if key else None


async def find_session(connection: asyncpg.Connection, token: str) -> Caller | None:
    """The person whose session this is if it is valid now."""
    session = await sessions.find_valid(connection, token)
    return caller_from_session(session) if session else None


def caller_from_key(key: ApiKey) -> Caller:
    """The caller that an API key stands for. Scopes that only a newer release knows permit nothing here."""
    permissions = tuple(Permission(scope) for scope in key.scopes if scope in _PERMISSIONS)
    return Caller(Actor(ActorKind.KEY, key.id, key.name), permissions, key.partner_id, person_id=key.maker_id)


def caller_from_session(session: Session) -> Caller:
    """The person whose session it is, with the permissions of the role; without a role there are none."""
    permissions = ROLES[session.role] if session.role else ()
    return Caller(session.actor, permissions, session.partner_id, session, session.actor.id)
