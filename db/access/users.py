"""People who sign in (P1): they sign up or are invited, an Admin gives them a role, a role or a deactivation ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from billing.errors import RuleViolation
from billing.roles import Role
from db.access import sessions
from db.core import locks
from db.core.orders import Order
from db.core.unit_of_work import Cache, UnitOfWork


@dataclass(frozen=True, slots=True)
class Deputy:
    """Who approves for a person, and until when."""

    user_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in; `role` None: waits for one. `partner` is the own id of the partner."""

    id: UUID
    name: str
    email: str
    role: Role | None
    partner_id: UUID | None
    partner: str | None
    has_password: bool
    is_active: bool
    created_at: datetime
    deputy: Deputy | None


class UserOrder(Order):
    """What people are sorted by; of equal ones the id decides. Who waits for a role comes before all roles."""

    NEWEST = "-created"
    OLDEST = "created"
    BY_NAME = "name"
    BY_NAME_BACKWARDS = "-name"
    BY_ROLE = "role"
    BY_ROLE_BACKWARDS = "-role"

    @property
    def place_kind(self) -> type["UserPlace"]:
        """The type of its places."""
        return tuple[datetime, UUID] if self.column == "created" else tuple[str, UUID]

    def place_of(self, user: User) -> "UserPlace":
        """Where a person stands in it."""
        values: dict[str, datetime | str] = {"created": user.created_at, "name": user.name, "role": user.role or ""}
        return values[self.column], user.id


UserPlace = tuple[datetime | str, UUID]
"""What a person is sorted by, and their id."""
_SORTED_BY = {
    "created": ("users.created_at", "$6"),
    "name": ("lower(users.name)", "lower($6)"),
    "role": ("coalesce(role, '')", "$6"),
}
_USERS = """
    SELECT users.id, users.name, email, role, users.partner_id, external_id, password_hash IS NOT NULL AS has_password,
        deactivated_at IS NULL AS is_active, users.created_at, deputy_id, until
    FROM users LEFT JOIN partners ON partners.id = users.partner_id
    LEFT JOIN deputies ON user_id = users.id AND until > clock_timestamp()
"""


async def sign_up(uow: UnitOfWork, user_id: UUID, name: str, email: str, password_hash: str) -> User:
    """A person makes an account, without a role. RuleViolation if there is one with this e-mail."""
    user = await _insert(uow, user_id, name, email, None, None, password_hash)
    await uow.audit("user.signed_up", user.id, after={"name": name, "email": email})
    return user


async def create(
    uow: UnitOfWork,
    name: str,
    email: str,
    role: Role,
    partner_id: UUID | None = None,
    password_hash: str | None = None,
) -> User:
    """Make an account with a role; without a password, a link lets the person choose one. RuleViolation as above."""
    _check_partner(role, partner_id)
    user = await _insert(uow, uuid4(), name, email, role, partner_id, password_hash)
    facts = {"name": name, "email": email, "role": role, "partner_id": partner_id}
    await uow.audit("user.created", user.id, after=facts)
    return user


async def create_first_admin(uow: UnitOfWork, name: str, email: str, password_hash: str) -> bool:
    """Make the first Admin of an installation; False if there is one who can sign in."""
    await locks.lock_users_exclusive(uow.connection)
    if await has_admin(uow.connection):
        return False
    await create(uow, name, email, Role.ADMIN, password_hash=password_hash)
    return True


async def read(connection: asyncpg.Connection, user_id: UUID) -> User | None:
    """One person."""
    row = await connection.fetchrow(f"{_USERS} WHERE users.id = $1", user_id)
    return _user_from_row(row) if row else None


async def page(
    connection: asyncpg.Connection,
    *,
    role: Role | None,
    waiting: bool,
    email: str | None,
    active: bool | None,
    before: UserPlace | None,
    limit: int,
    order: UserOrder = UserOrder.NEWEST,
) -> list[User]:
    """People in an order: with a role, or those who wait for one, with an e-mail, who may sign in or not."""
    (value, after), direction = _SORTED_BY[order.column], order.direction
    place = "true" if before is None else f"({value}, users.id) {order.following} ({after}, $7)"
    rows = await connection.fetch(
        f"""
        {_USERS}
        WHERE ($1::text IS NULL OR role = $1) AND (NOT $2::bool OR role IS NULL AND deactivated_at IS NULL)
            AND ($3::bool IS NULL OR (deactivated_at IS NULL) = $3)
            AND ($4::text IS NULL OR email = $4) AND {place}
        ORDER BY {value} {direction}, users.id {direction} LIMIT $5
        """,
        role,
        waiting,
        active,
        email,
        limit,
        *(before or ()),
    )
    return [_user_from_row(row) for row in rows]


async def find(connection: asyncpg.Connection, text: str, user_id: UUID | None, *, limit: int) -> list[User]:
    """People with an id, an e-mail or a name, whatever its case."""
    rows = await connection.fetch(
        f"""
        {_USERS} WHERE users.id = $2 OR lower(email) = lower($1) OR lower(users.name) = lower($1)
        ORDER BY users.created_at DESC, users.id DESC LIMIT $3
        """,
        text,
        user_id,
        limit,
    )
    return [_user_from_row(row) for row in rows]


async def count_waiting(connection: asyncpg.Connection) -> int:
    """How many people wait for a role."""
    count: int = await connection.fetchval("SELECT count(*) FROM users WHERE role IS NULL AND deactivated_at IS NULL")
    return count


async def change(uow: UnitOfWork, cache: Cache, user_id: UUID, wanted: Mapping[str, Any], by: UUID | None) -> User:
    """Change role, partner_id, is_active or deputy of a person; `by` is the person who does it or whose key does.

    Another role or partner, and a deactivation, end the person's sessions. RuleViolation if somebody changes their own
    role or partner, if no Admin would be left, and for a deputy who could not stand in.
    """
    await locks.lock_users_exclusive(uow.connection)
    user = await read(uow.connection, user_id)
    assert user is not None
    role, partner_id = _wanted_role(user, wanted)
    is_active = wanted.get("is_active", user.is_active)
    before = {"role": user.role, "partner_id": user.partner_id, "is_active": user.is_active}
    after = {"role": role, "partner_id": partner_id, "is_active": is_active}
    if (role, partner_id) != (user.role, user.partner_id) and by == user_id:
        raise RuleViolation("Nobody changes their own role or partner; ask another Admin.")
    if after != before:
        await _update(uow, cache, user_id, before, after)
    if "deputy" in wanted:
        await _set_deputy(uow, user, wanted["deputy"])
    changed = await read(uow.connection, user_id)
    assert changed is not None
    return changed


async def rename(uow: UnitOfWork, cache: Cache, user_id: UUID, name: str) -> None:
    """Call a person otherwise from now on; what they did before keeps the name that they had."""
    before = await uow.connection.fetchval("SELECT name FROM users WHERE id = $1", user_id)
    if name != before:
        await uow.connection.execute("UPDATE users SET name = $2 WHERE id = $1", user_id, name)
        await uow.audit("user.changed", user_id, before={"name": before}, after={"name": name})
        uow.after_commit(cache.clear)


async def password_hash_of(connection: asyncpg.Connection, user_id: UUID) -> str | None:
    """What is stored of a person's password; None if there is none yet."""
    stored: str | None = await connection.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id)
    return stored


async def set_password(uow: UnitOfWork, cache: Cache, user_id: UUID, password_hash: str) -> None:
    """Give a person another password; their sessions and their other links end."""
    await uow.connection.execute("UPDATE users SET password_hash = $2 WHERE id = $1", user_id, password_hash)
    await uow.connection.execute("DELETE FROM password_links WHERE user_id = $1", user_id)
    await sessions.end_all(uow, cache, user_id)
    await uow.audit("user.password_changed", user_id)


def _wanted_role(user: User, wanted: Mapping[str, Any]) -> tuple[Role | None, UUID | None]:
    role = wanted.get("role", user.role)
    kept = user.partner_id if role is Role.PARTNER else None
    partner_id = wanted.get("partner_id", kept)
    _check_partner(role, partner_id)
    return role, partner_id


def _check_partner(role: Role | None, partner_id: UUID | None) -> None:
    if (role is Role.PARTNER) != (partner_id is not None):
        raise RuleViolation("A person with the role partner is bound to a partner, and nobody else is.")


async def _update(
    uow: UnitOfWork, cache: Cache, user_id: UUID, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    connection = uow.connection
    had_admin = await has_admin(connection)
    await connection.execute(
        """
        UPDATE users SET role = $2, partner_id = $3,
            deactivated_at = CASE WHEN $4 THEN NULL ELSE coalesce(deactivated_at, clock_timestamp()) END
        WHERE id = $1
        """,
        user_id,
        after["role"],
        after["partner_id"],
        after["is_active"],
    )
    if had_admin and not await has_admin(connection):
        raise RuleViolation("This is the last Admin who can sign in; make another one first.")
    await sessions.end_all(uow, cache, user_id)
    changed = [name for name in after if after[name] != before[name]]
    facts = ({name: values[name] for name in changed} for values in (before, after))
    await uow.audit("user.changed", user_id, before=next(facts), after=next(facts))


async def has_admin(connection: asyncpg.Connection) -> bool:
    """Whether there is an Admin who can sign in."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM users WHERE role = 'admin' AND deactivated_at IS NULL AND password_hash IS NOT NULL
        )
        """
    )
    return found


async def _set_deputy(uow: UnitOfWork, user: User, deputy: Deputy | None) -> None:
    if deputy == user.deputy:
        return
    await uow.connection.execute("DELETE FROM deputies WHERE user_id = $1", user.id)
    if deputy:
        await _check_deputy(uow.connection, user, deputy)
        await uow.connection.execute(
            "INSERT INTO deputies (user_id, deputy_id, until) VALUES ($1, $2, $3)",
            user.id,
            deputy.user_id,
            deputy.until,
        )
    await uow.audit("user.changed", user.id, before=_deputy_facts(user.deputy), after=_deputy_facts(deputy))


def check_has_deputy(role: Role | None) -> None:
    """Raise RuleViolation for whom nobody can stand in, since they approve nothing; so they hear of no colleague."""
    if role in (None, Role.PARTNER):
        raise RuleViolation("A deputy stands in for somebody who approves bills, and you are not asked for that.")


async def _check_deputy(connection: asyncpg.Connection, user: User, deputy: Deputy) -> None:
    check_has_deputy(user.role)
    found = await read(connection, deputy.user_id)
    if found is None or not found.is_active or found.role in (None, Role.PARTNER) or found.id == user.id:
        raise RuleViolation("A deputy is another active person with a role, and not one of a partner.")
    if deputy.until <= datetime.now(UTC):
        raise RuleViolation("A deputy stands in until some time to come.")


def _deputy_facts(deputy: Deputy | None) -> dict[str, Any]:
    return {"deputy": {"user_id": deputy.user_id, "until": deputy.until} if deputy else None}


async def _insert(
    uow: UnitOfWork,
    user_id: UUID,
    name: str,
    email: str,
    role: Role | None,
    partner_id: UUID | None,
    password_hash: str | None,
) -> User:
    inserted = await uow.connection.fetchval(
        """
        INSERT INTO users (id, name, email, role, partner_id, password_hash) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (email) DO NOTHING RETURNING true
        """,
        user_id,
        name,
        email,
        role,
        partner_id,
        password_hash,
    )
    if not inserted:
        raise RuleViolation("There is an account with this e-mail; sign in, or ask for another password.")
    user = await read(uow.connection, user_id)
    assert user is not None
    return user


def _user_from_row(row: asyncpg.Record) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        role=Role(row["role"]) if row["role"] else None,
        partner_id=row["partner_id"],
        partner=row["external_id"],
        has_password=row["has_password"],
        is_active=row["is_active"],
        created_at=row["created_at"],
        deputy=Deputy(row["deputy_id"], row["until"]) if row["deputy_id"] else None,
    )
