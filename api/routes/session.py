"""Sessions (P2): sign in, who has signed in, sign out."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.access.cookies import browser_cookie, clear_session_cookie, csrf_token, session_cookie, set_cookies
from api.access.permissions import FOR_PEOPLE, caller_of
from api.headers import header
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Email
from api.schemas.users import TYPED_PASSWORD, user_out_from_user
from api.state import address_of, state_of, unit_of_work
from api.wire import instant_out, json_response
from db.access import sessions, users
from db.access.sessions import Account, NewSession, Session
from db.access.users import User
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/session", tags=["people"])
_LONGEST_AGENT = 300


class SignIn(Body):
    """Who signs in."""

    email: Email
    password: str = TYPED_PASSWORD


@router.post("", status_code=201, response_model=answers.Session)
async def sign_in(request: Request, body: SignIn) -> Response:
    """Sign in: the answer sets a cookie, and its `csrf_token` goes into X-CSRF-Token of what changes something."""
    user, started = await begin_session(request, body)
    response = json_response(_session_out(user, started.token, started), 201)
    set_cookies(response, state_of(request).settings, started)
    return response


@router.get("", dependencies=[FOR_PEOPLE], response_model=answers.Session)
async def get_session(request: Request) -> Response:
    """Who has signed in, and until when; twelve hours without a request end it, too."""
    state, session = state_of(request), _session_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        user = await users.read(connection, caller_of(request).id)
    assert user is not None
    return json_response(_session_out(user, session_cookie(request.scope, state.settings), session))


@router.delete("", status_code=204, dependencies=[FOR_PEOPLE])
async def sign_out(
    request: Request, everywhere: Annotated[bool, Query(description="end all sessions of the person")] = False
) -> Response:
    """Sign out; every process refuses the session within two seconds."""
    state = state_of(request)
    async with unit_of_work(request) as uow:
        if everywhere:
            await sessions.end_all(uow, state.sessions, caller_of(request).id)
        else:
            await sessions.end(uow, state.sessions, _session_of(request).id)
    response = Response(status_code=204)
    clear_session_cookie(response, state.settings)
    return response


async def begin_session(request: Request, body: SignIn) -> tuple[User, NewSession]:
    """Begin a session in place of the one that the browser had; Problem 401 or 429 as `_checked_account` says."""
    state = state_of(request)
    account, browser = await _checked_account(request, body)
    async with unit_of_work(request, Actor(ActorKind.USER, account.user_id, account.name)) as uow:
        if former := await sessions.find_valid(uow.connection, session_cookie(request.scope, state.settings)):
            await sessions.end(uow, state.sessions, former.id)
        started = await sessions.start(uow, account, browser, header(request.scope, b"user-agent")[:_LONGEST_AGENT])
        user = await users.read(uow.connection, account.user_id) if started and account.user_id else None
    if started is None or user is None:
        raise _wrong()
    return user, started


async def _checked_account(request: Request, body: SignIn) -> tuple[Account, str | None]:
    """The account whose password it is, and the secret of the browser if the account knows it.

    Problem 401 if it is wrong, 429 after too many wrong ones.
    """
    state, address = state_of(request), address_of(request) or ""
    browser = browser_cookie(request.scope)
    if not browser:
        state.sign_ins.count_address(address)
    async with state.sign_ins.looking_up(), transaction(state.engine, readonly=True) as connection:
        account = await sessions.account_of(connection, body.email, browser)
    known = browser if account.knows_browser else None
    if browser and not known:
        state.sign_ins.count_address(address)
    state.sign_ins.count_account(body.email, known)
    if not await state.sign_ins.matches(account.password_hash, body.password, known=known is not None):
        raise _wrong()
    state.sign_ins.forgive_account(body.email, known)
    if not known:
        state.sign_ins.forgive_address(address)
    return account, known


def _wrong() -> Problem:
    return Problem(401, "The e-mail or the password is wrong.", headers={"WWW-Authenticate": "Bearer"})


def _session_of(request: Request) -> Session:
    session = caller_of(request).session
    assert session is not None
    return session


def _session_out(user: User, token: str, session: Session | NewSession) -> dict[str, Any]:
    return {
        "user": user_out_from_user(user),
        "csrf_token": csrf_token(token),
        "expires_at": instant_out(session.expires_at),
    }
