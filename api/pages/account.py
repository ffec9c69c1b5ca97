"""One's own account: name and role, password, deputy, sessions."""

from datetime import UTC, date, datetime, time, timedelta

from fastapi import APIRouter, Request, Response

from api.access.cookies import clear_session_cookie
from api.access.permissions import FOR_PEOPLE, caller_of
from api.pages.forms import Form, submitted
from api.pages.rendering import led_to, page
from api.pages.words import brief_day, browser_from_user_agent
from api.problems import FieldError, Problem
from api.routes import password, session
from api.routes.users import change_user
from api.routing import Route
from api.schemas.fields import Body, Day, Email, Text, UuidPath
from api.schemas.users import DeputyIn, UserChange
from api.state import state_of, unit_of_work
from db.access import sessions, users
from db.core.engine import transaction

router = APIRouter(route_class=Route, include_in_schema=False)
_MOST_SESSIONS = 50
_LAST_DAY = date.max - timedelta(days=1)
"""Of a deputy; no instant lies behind the last day there is."""


class _Name(Body):
    """How a person is called."""

    name: Text


class _DeputyByEmail(Body):
    """Who approves for a person, and through which day."""

    email: Email
    until: Day


@router.get("/account", dependencies=[FOR_PEOPLE])
async def show_account(request: Request) -> Response:
    """Who one is here, and what one may change about it."""
    return await _show(request, Form())


@router.post("/account/name", dependencies=[FOR_PEOPLE])
async def change_name_here(request: Request) -> Response:
    """Be called otherwise."""

    async def act(form: Form) -> Response:
        name = form.read(_Name).name
        async with unit_of_work(request) as uow:
            await users.rename(uow, state_of(request).sessions, caller_of(request).id, name)
        return led_to(request, "/account", f"You are called {name} now.")

    return await submitted(request, act, _show)


@router.post("/account/password", dependencies=[FOR_PEOPLE])
async def change_password_here(request: Request) -> Response:
    """Change one's password; all sessions end."""

    async def act(form: Form) -> Response:
        await password.change_password(request, form.read(password.PasswordChange))
        return _signed_out(request, "Your password is changed. Sign in with the new one.")

    return await submitted(request, act, _show)


@router.post("/account/deputy", dependencies=[FOR_PEOPLE])
async def name_deputy(request: Request) -> Response:
    """Name who approves for oneself, or nobody any more."""

    async def act(form: Form) -> Response:
        if form.value("ends"):
            await change_user(request, caller_of(request).id, UserChange(deputy=None))
            return led_to(request, "/account", "Nobody stands in for you any more.")
        here = caller_of(request).session
        users.check_has_deputy(here.role if here else None)
        named = form.read(_DeputyByEmail)
        async with transaction(state_of(request).engine, readonly=True) as connection:
            found = await users.page(
                connection, role=None, waiting=False, email=named.email, active=True, before=None, limit=1
            )
        if not found:
            problem = FieldError("#/email", "is that of nobody who can stand in")
            raise Problem(400, "There is no such person.", [problem])
        last = min(named.until, _LAST_DAY)
        until = datetime.combine(last + timedelta(days=1), time(), UTC)
        deputy = DeputyIn.model_validate({"user": str(found[0].id), "until": until.isoformat()})
        await change_user(request, caller_of(request).id, UserChange(deputy=deputy))
        return led_to(request, "/account", f"{found[0].name} stands in for you until {brief_day(named.until)}.")

    return await submitted(request, act, _show)


@router.post("/account/sign-out", dependencies=[FOR_PEOPLE])
async def sign_out_here(request: Request) -> Response:
    """Sign out in this browser."""
    return await _end(request, "You have signed out.", everywhere=False)


@router.post("/account/sign-out-everywhere", dependencies=[FOR_PEOPLE])
async def sign_out_everywhere(request: Request) -> Response:
    """End all of one's sessions."""
    return await _end(request, "You have signed out everywhere.", everywhere=True)


@router.post("/account/sessions/{session_id}/end", dependencies=[FOR_PEOPLE])
async def end_session_here(request: Request, session_id: UuidPath) -> Response:
    """End one of one's sessions, in another browser."""

    async def act(_: Form) -> Response:
        async with unit_of_work(request) as uow:
            if not await sessions.is_of(uow.connection, session_id, caller_of(request).id):
                raise Problem(404, "You have no such session.")
            await sessions.end(uow, state_of(request).sessions, session_id)
        return led_to(request, "/account", "That session has ended.")

    return await submitted(request, act, _show)


async def _end(request: Request, said: str, *, everywhere: bool) -> Response:
    async def act(_: Form) -> Response:
        await session.sign_out(request, everywhere=everywhere)
        return _signed_out(request, said)

    return await submitted(request, act, _show)


async def _show(request: Request, form: Form) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        user = await users.read(connection, caller_of(request).id)
        assert user is not None
        deputy = await users.read(connection, user.deputy.user_id) if user.deputy else None
        open_sessions = await sessions.open_of(connection, user.id, _MOST_SESSIONS)
    here = caller_of(request).session
    return page(
        request,
        "account.html",
        status=form.status,
        form=form,
        user=user,
        deputy=deputy,
        sessions=[(each, browser_from_user_agent(each.user_agent)) for each in open_sessions],
        here=here and here.id,
    )


def _signed_out(request: Request, said: str) -> Response:
    response = led_to(request, "/welcome", said)
    clear_session_cookie(response, state_of(request).settings)
    return response
