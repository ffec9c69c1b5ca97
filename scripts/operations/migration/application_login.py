"""The login that api and worker use: it may read and write rows, and its DATABASE_URL is the value of a secret.

There are two logins, used alternately: a rotation gives the one that is not in use another password, so that tasks that
run keep theirs until they are replaced.
"""

import asyncio
import secrets
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import asyncpg

from db.core import locks, logins
from db.core.scram import verifier_from_password
from scripts.operations.migration.secret import Secret
from scripts.operations.migration.settings import AdminSettings

_CONNECT_TIMEOUT_S = 10.0
_REFUSED = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


@dataclass(frozen=True)
class Made:
    """The login in the secret, and whether it is another one, or has another password, than before."""

    login: str
    changed: bool


def provide(settings: AdminSettings, *, rotate: bool) -> Made:
    """Grant the application its rights and see to it that the login in the secret works.

    With `rotate` the other login takes its place. Killed anywhere, it can be run again: the secret never names a login
    that does not work, because the login is committed first.
    """
    return asyncio.run(_provide(settings, Secret(settings.application_login_secret_arn), rotate))


async def _provide(settings: AdminSettings, secret: Secret, rotate: bool) -> Made:
    group = f"{settings.database_name}_application"
    admin = await asyncpg.connect(settings.admin_url, timeout=_CONNECT_TIMEOUT_S)
    try:
        await locks.lock_schema_exclusive(admin)
        async with admin.transaction():
            await logins.grant(admin, group)
        url = secret.read()
        user, password = _login_from_url(url)
        known = user in _logins(group)
        if known and not rotate and await _works(settings.url_for(user, password), group):
            if url == settings.url_for(user, password):
                return Made(user, changed=False)
        else:
            user, password = _next(group, user, rotate), secrets.token_urlsafe(32)
            async with admin.transaction():
                await logins.add_login(admin, group, user, verifier_from_password(password))
        secret.write(settings.url_for(user, password))
        return Made(user, changed=True)
    finally:
        await admin.close()


def _logins(group: str) -> tuple[str, str]:
    return f"{group}_a", f"{group}_b"


def _next(group: str, user: str, rotate: bool) -> str:
    """Which login gets a new password: the other one if it is a rotation, else the one that the secret names."""
    first, second = _logins(group)
    if rotate:
        return second if user == first else first
    return second if user == second else first


def _login_from_url(url: str | None) -> tuple[str, str]:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return "", ""
    return unquote(parts.username or ""), unquote(parts.password or "")


async def _works(url: str, group: str) -> bool:
    """Whether the login is let in and has its rights; raises what is no refusal, which says nothing about the login."""
    try:
        connection = await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S)
    except _REFUSED:
        return False
    try:
        return await logins.is_member(connection, group)
    finally:
        await connection.close()
