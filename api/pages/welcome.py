"""Signing in and up, forgotten passwords, and the first Admin of an installation."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from api.access.cookies import set_cookies
from api.access.permissions import Permission
from api.pages.forms import MOST_BYTES_WITH_KEPT, Form, Show, submitted
from api.pages.rendering import led_to, page
from api.problems import FieldError, Problem
from api.routes import password, users
from api.routes.session import SignIn, begin_session
from api.routing import Route
from api.schemas.users import SignUp
from api.state import address_of, state_of, unit_of_work
from db.access import set_up_links
from db.access import users as accounts
from db.core.actor import SYSTEM
from db.core.engine import transaction

router = APIRouter(route_class=Route, include_in_schema=False)

_KEPT = "kept."
_SECRET = ("password", "old", "new")
_MOST_LETTERS_OF_PATH = 2000
_LINK_IS_OVER = "This link was used, or is too old. Where there is no Admin yet, leadger migrate prints another one."


@router.get("/welcome")
async def show_welcome(
    request: Request,
    next: str = "",  # noqa: A002 - the name in the URL
    token: str = "",
) -> Response:
    """Sign in, sign up, ask for another password; on a new installation, become its first Admin."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        needs_admin = not await accounts.has_admin(connection)
        opens = needs_admin and bool(token) and await set_up_links.is_valid(connection, token)
    form = Form({"token": [token]} if opens else {})
    if token and not opens:
        form.refusal = _LINK_IS_OVER
    return welcome_page(request, form, target=next, needs_admin=needs_admin)


def welcome_page(
    request: Request,
    form: Form,
    *,
    kept: Sequence[tuple[str, str]] = (),
    target: str = "",
    needs_admin: bool = False,
    part: str = "sign-in",
) -> Response:
    """The page with the form that was refused, and what a person had typed elsewhere when the session was over."""
    shown = [(f"{_KEPT}{name}", text) for name, text in kept if name not in _SECRET]
    return page(
        request,
        "welcome.html",
        status=form.status,
        form=form,
        part=part,
        kept=shown,
        target=_own_path(target),
        needs_admin=needs_admin,
    )


@router.post("/welcome/sign-in")
async def sign_in_here(request: Request) -> Response:
    """Sign in, and go on where the person was; what they had typed there is asked about once more."""

    async def act(form: Form) -> Response:
        _, started = await begin_session(request, form.read(SignIn))
        target, kept = _own_path(form.value("next")), _kept(form)
        if kept:
            typed = [(name.removeprefix(_KEPT), text) for name, text in kept]
            response = page(request, "again.html", token=started.token, typed=typed, target=target)
        else:
            response = led_to(request, target or "/")
        set_cookies(response, state_of(request).settings, started)
        return response

    async def show(asked: Request, form: Form) -> Response:
        kept = [(name.removeprefix(_KEPT), text) for name, text in _kept(form)]
        return welcome_page(asked, form, kept=kept, target=form.value("next"))

    return await submitted(request, act, show, anybody=True, most_bytes=MOST_BYTES_WITH_KEPT)


@router.post("/welcome/sign-up")
async def sign_up_here(request: Request) -> Response:
    """Make an account, which has no role yet."""

    async def act(form: Form) -> Response:
        await users.sign_up(request, form.read(SignUp))
        return led_to(request, "/welcome", "Your account is there. Sign in; an Admin then gives you a role.")

    return await submitted(request, act, _show("sign-up"), anybody=True)


@router.post("/welcome/forgotten")
async def forgot_password_here(request: Request) -> Response:
    """Have a link sent by mail, if there is such an account."""

    async def act(form: Form) -> Response:
        await password.forgot_password(request, form.read(password.Forgotten))
        return led_to(request, "/welcome", "If there is an account with this e-mail, a link is on its way to it.")

    return await submitted(request, act, _show("forgotten"), anybody=True)


@router.post("/welcome/set-up")
async def set_up_here(request: Request) -> Response:
    """Make the first Admin, for whoever has a key with the scope admin or the link that the log prints."""
    state = state_of(request)

    async def act(form: Form) -> Response:
        address = address_of(request) or ""
        state.sign_ins.count_address(address)
        body = form.read(SignUp)
        actor, token = SYSTEM, form.value("token")
        if not token:
            caller = await state.keys.find(form.value("key").strip(), address)
            if caller is None or not caller.may(Permission.ADMIN):
                raise Problem(400, "The key is wrong.", [FieldError("#/key", "is no valid key with the scope admin")])
            actor = caller.actor
        password_hash = await state.sign_ins.hash(body.password)
        async with unit_of_work(request, actor) as uow:
            if token and not await set_up_links.is_valid(uow.connection, token):
                raise Problem(409, _LINK_IS_OVER)
            if made := await accounts.create_first_admin(uow, body.name, body.email, password_hash):
                await set_up_links.delete_all(uow.connection)
        if not made:
            raise Problem(409, "There is an Admin already; ask them to invite you.")
        return led_to(request, "/welcome", "You are the first Admin. Sign in with your e-mail and password.")

    return await submitted(request, act, _show("set-up", needs_admin=True), anybody=True)


def _show(part: str, *, needs_admin: bool = False) -> Show:
    async def show(asked: Request, form: Form) -> Response:
        return welcome_page(asked, form, part=part, needs_admin=needs_admin)

    return show


def _kept(form: Form) -> list[tuple[str, str]]:
    return [(name, text) for name, text in form.typed() if name.startswith(_KEPT)]


def _own_path(target: str) -> str:
    """A path of ours with its query; empty for any other place, which nobody is led to."""
    parts = urlsplit(target)
    is_ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.netloc
    return target if is_ours and target.isprintable() and len(target) <= _MOST_LETTERS_OF_PATH else ""
