"""Passwords (P1): changed by whoever has one, or set by a link."""

from fastapi import APIRouter, Request, Response

from api.access.cookies import clear_session_cookie
from api.access.permissions import FOR_PEOPLE, caller_of
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas.fields import Body, Email, Password
from api.schemas.users import TYPED_PASSWORD
from api.state import address_of, state_of, unit_of_work
from db.access import forgotten_passwords, password_links, sessions, users
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/password", tags=["people"])


class PasswordChange(Body):
    """The password of now, and the one to come."""

    old: str = TYPED_PASSWORD
    new: Password


class Forgotten(Body):
    """Whose password was forgotten."""

    email: Email


class Reset(Body):
    """The `token` of a link, and the password to set."""

    token: str
    password: Password


@router.post("", status_code=204, dependencies=[FOR_PEOPLE])
async def change_password(request: Request, body: PasswordChange) -> Response:
    """Change one's own password. All one's sessions end, also this one."""
    state, caller = state_of(request), caller_of(request)
    me = str(caller.id)
    state.sign_ins.count_account(me, me)
    async with transaction(state.engine, readonly=True) as connection:
        stored = await users.password_hash_of(connection, caller.id)
    if not await state.sign_ins.matches(stored, body.old, known=True):
        raise Problem(400, "The old password is wrong.", [FieldError("#/old", "is not your password")])
    state.sign_ins.forgive_account(me, me)
    password_hash = await state.sign_ins.hash(body.new)
    async with unit_of_work(request) as uow:
        await users.set_password(uow, state.sessions, caller.id, password_hash)
    response = Response(status_code=204)
    clear_session_cookie(response, state.settings)
    return response


@router.post("/forgotten", status_code=202)
async def forgot_password(request: Request, body: Forgotten) -> Response:
    """Have a link sent by mail if there is such an account. The answer is the same if there is none."""
    state = state_of(request)
    state.sign_ins.count_address(address_of(request) or "")
    if state.sign_ins.may_mail(body.email):
        async with state.sign_ins.looking_up(), unit_of_work(request) as uow:
            account = await sessions.account_of(uow.connection, body.email, "")
            await forgotten_passwords.start(uow, account.user_id)
    return Response(status_code=202)


@router.post("/reset", status_code=204)
async def reset_password(request: Request, body: Reset) -> Response:
    """Set a password by a link, which works once. All sessions of the person end."""
    state = state_of(request)
    state.sign_ins.count_address(address_of(request) or "")
    async with state.sign_ins.looking_up(), transaction(state.engine, readonly=True) as connection:
        user = await password_links.user_of(connection, body.token)
    if user is None:
        raise _too_old()
    password_hash = await state.sign_ins.hash(body.password)
    async with unit_of_work(request, Actor(ActorKind.USER, user.id, user.name)) as uow:
        used = await password_links.use(uow, state.sessions, user.id, body.token, password_hash)
    if not used:
        raise _too_old()
    return Response(status_code=204)


def _too_old() -> Problem:
    return Problem(409, "This link was used or is too old; ask for another one.")
