"""People who sign in (P1): they sign up, or an Admin invites them and says who may do what."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import FOR_ONESELF_OR_ADMIN, Permission, caller_of, requires
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Email, UuidPath
from api.schemas.users import Invitation, SignUp, UserChange, user_out_from_user
from api.state import address_of, state_of, unit_of_work
from api.wire import json_response
from billing.roles import Role
from db.access import password_links, users
from db.access.users import User
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork

router = APIRouter(route_class=Route, prefix="/api/users", tags=["people"])
_ADMIN = requires(Permission.ADMIN)


@router.post("", status_code=201, response_model=answers.User)
async def sign_up(request: Request, body: SignUp) -> Response:
    """Make an account. It has no role, so it sees nothing until an Admin gives it one."""
    sign_ins = state_of(request).sign_ins
    sign_ins.count_address(address_of(request) or "")
    password_hash = await sign_ins.hash(body.password)
    user_id = uuid4()
    async with unit_of_work(request, Actor(ActorKind.USER, user_id, body.name)) as uow:
        user = await users.sign_up(uow, user_id, body.name, body.email, password_hash)
    return json_response(user_out_from_user(user), 201)


@router.post("/invite", status_code=201, dependencies=[_ADMIN], response_model=answers.InvitedUser)
async def invite_user(request: Request, body: Invitation) -> Response:
    """Make an account with a role. The answer is the only place that has the link by which the person gets in, once."""
    user, url = await invited_user(request, body)
    return json_response(user_out_from_user(user) | {"url": url}, 201)


async def invited_user(request: Request, body: Invitation) -> tuple[User, str]:
    """Make an account with a role, and the link by which the person gets in."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner) if body.partner else None
        user = await users.create(uow, body.name, body.email, body.role, partner_id)
        return user, await _new_link(request, uow, user)


@router.get("", dependencies=[_ADMIN], response_model=answers.Page[answers.User])
async def list_users(
    request: Request,
    role: Annotated[
        Literal["admin", "finance", "customer_success", "sales", "partner", "none"] | None,
        Query(description="only people with this role; none: active ones who wait for one"),
    ] = None,
    email: Annotated[Email | None, Query(description="only the person with this e-mail")] = None,
    active: Annotated[bool | None, Query(description="only who may sign in, or may not")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """People, the newest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        page = await users.page(
            connection,
            role=None if role in (None, "none") else Role(role),
            waiting=role == "none",
            email=email,
            active=active,
            before=place_from_cursor(after, tuple[datetime, UUID]),
            limit=limit,
        )
    following = cursor_from_place((page[-1].created_at, page[-1].id)) if len(page) == limit else None
    return json_response({"items": [user_out_from_user(user) for user in page], "next": following})


@router.get("/{user_id}", dependencies=[FOR_ONESELF_OR_ADMIN], response_model=answers.User)
async def get_user(request: Request, user_id: UuidPath) -> Response:
    """One person; people without the role admin see themselves only."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        user = await known_user(connection, user_id)
    return json_response(user_out_from_user(user))


@router.patch("/{user_id}", dependencies=[FOR_ONESELF_OR_ADMIN], response_model=answers.User)
async def change_user(request: Request, user_id: UuidPath, body: UserChange) -> Response:
    """Change role, partner, deputy, or whether a person may sign in; another role ends the person's sessions.

    People without the role admin name a deputy for themselves, and nothing else.
    """
    caller = caller_of(request)
    if body.sent().keys() - {"deputy"}:
        caller.check(Permission.ADMIN)
    async with unit_of_work(request) as uow:
        await known_user(uow.connection, user_id)
        partner_id = await partner_id_of(uow.connection, body.partner) if body.partner else None
        changed = await users.change(
            uow, state_of(request).sessions, user_id, body.wanted(partner_id), by=caller.person_id
        )
    return json_response(user_out_from_user(changed))


@router.post("/{user_id}/reset", dependencies=[_ADMIN], response_model=answers.PasswordLink)
async def reset_user(request: Request, user_id: UuidPath) -> Response:
    """A link by which the person sets another password, once, within seven days. Until then the old one is valid."""
    return json_response({"url": await link_for_user(request, user_id)})


async def link_for_user(request: Request, user_id: UUID) -> str:
    """Make a link by which the person sets another password."""
    async with unit_of_work(request) as uow:
        return await _new_link(request, uow, await known_user(uow.connection, user_id))


async def _new_link(request: Request, uow: UnitOfWork, user: User) -> str:
    base_url = state_of(request).settings.api_base_url
    return await password_links.make(uow, user.id, password_links.GIVEN_FOR, base_url)


async def known_user(connection: asyncpg.Connection, user_id: UUID) -> User:
    """One person; Problem 404 if there is none with this id."""
    user = await users.read(connection, user_id)
    if user is None:
        raise Problem(404, f"There is no person {user_id}.")
    return user
