"""People who sign in, for tests. Most of them get their session without a password, which would take longer."""

from functools import cache
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.cookies import csrf_token
from billing.roles import Role
from db.access import passwords, sessions, users
from db.access.sessions import Account
from db.access.users import User
from db.core.actor import Actor, ActorKind
from db.core.row_keys import partner_uuid
from db.core.unit_of_work import publish_nothing, unit_of_work

PASSWORD = "four words of no meaning"


@cache
def password_hash() -> str:
    return passwords.hash_password(PASSWORD)


async def new_person(engine: AsyncEngine, name: str, role: Role | None, partner: str | None = None) -> User:
    """A person with the address name@example.com and the password of all."""
    async with unit_of_work(engine, publish_nothing) as uow:
        email = f"{name}@example.com"
        if role:
            partner_id = partner_uuid(partner) if partner else None
            return await users.create(uow, name, email, role, partner_id, password_hash())
        return await users.sign_up(uow, uuid4(), name, email, password_hash())


async def session_headers(engine: AsyncEngine, user: User) -> dict[str, str]:
    """The headers of a browser in which the person has signed in, as a page of ours sends them."""
    account = Account(user.id, user.name, password_hash(), knows_browser=False)
    actor = Actor(ActorKind.USER, user.id, user.name)
    async with unit_of_work(engine, publish_nothing, actor=actor) as uow:
        started = await sessions.start(uow, account, None)
    assert started is not None
    return {"Cookie": f"leadger_session={started.token}", "X-CSRF-Token": csrf_token(started.token)}
