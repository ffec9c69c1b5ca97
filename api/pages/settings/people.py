"""People: who waits for a role, who may do what, invitations."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.forms import Act, Form, submitted
from api.pages.lists import PER_PAGE, beside, link
from api.pages.rendering import led_to, page
from api.pages.sorting import Sorting, in_query
from api.pages.words import ROLES
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.users import change_user, invited_user, known_user, link_for_user
from api.routing import Route
from api.schemas.fields import UuidPath
from api.schemas.users import Invitation, UserChange
from api.state import state_of
from billing.roles import Role
from db.access import users
from db.access.users import UserOrder
from db.core.engine import transaction

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/people", dependencies=[requires(Permission.ADMIN)]
)

_TABS = (
    ("", "Active"),
    ("waiting", "Wait for a role"),
    *ROLES.items(),
    ("inactive", "Inactive"),
)


_WAYS: dict[str, str] = {
    UserOrder.NEWEST: "newest",
    UserOrder.OLDEST: "oldest",
    UserOrder.BY_NAME: "name",
    UserOrder.BY_NAME_BACKWARDS: "name, Z to A",
    UserOrder.BY_ROLE: "role",
    UserOrder.BY_ROLE_BACKWARDS: "role, Z to A",
}


@router.get("")
async def show_people(
    request: Request, tab: str = "", email: str = "", order: UserOrder = UserOrder.NEWEST, after: After = None
) -> Response:
    """The people who sign in, the newest first unless another order is asked for."""
    return await _show_people(request, Form(), tab, email.strip().lower(), order, after)


@router.post("/invite")
async def invite_user_here(request: Request) -> Response:
    """Make an account with a role, and show the link by which the person gets in."""

    async def act(form: Form) -> Response:
        user, url = await invited_user(request, form.read(Invitation))
        return led_to(request, f"/settings/people/{user.id}", f"Send this link to {user.name}:", shown_once=url)

    async def show(asked: Request, form: Form) -> Response:
        return await _show_people(asked, form, "", "", UserOrder.NEWEST, None)

    return await submitted(request, act, show)


@router.get("/{user_id}")
async def show_user(request: Request, user_id: UuidPath) -> Response:
    """One person: role, partner, deputy, and whether they may sign in."""
    return await _show_user(request, Form(), user_id)


@router.post("/{user_id}/role")
async def change_role_here(request: Request, user_id: UuidPath) -> Response:
    """Give a person a role, another one or none."""

    async def act(form: Form) -> Response:
        role = form.value("role")
        sent = {"role": role or None, "partner": form.value("partner").strip() if role == Role.PARTNER else None}
        await change_user(request, user_id, form.read_as(UserChange, sent))
        return led_to(request, f"/settings/people/{user_id}", "The role is changed; the person signs in anew.")

    return await _submitted(request, user_id, act)


@router.post("/{user_id}/active")
async def change_active_here(request: Request, user_id: UuidPath) -> Response:
    """Let a person sign in no more, if their e-mail was typed, or again."""

    async def act(form: Form) -> Response:
        active = form.value("active") == "true"
        async with transaction(state_of(request).engine, readonly=True) as connection:
            user = await known_user(connection, user_id)
        if not active and form.value("email").strip().lower() != user.email.lower():
            wrong = [FieldError("#/email", f"must be {user.email}: nothing is changed")]
            raise Problem(400, "The e-mail is another one.", wrong)
        await change_user(request, user_id, form.read_as(UserChange, {"active": active}))
        said = "The person may sign in again." if active else "The person cannot sign in any more."
        return led_to(request, f"/settings/people/{user_id}", said)

    return await _submitted(request, user_id, act)


@router.post("/{user_id}/reset")
async def reset_user_here(request: Request, user_id: UuidPath) -> Response:
    """Make a link by which the person sets another password."""

    async def act(form: Form) -> Response:
        url = await link_for_user(request, user_id)
        said = "By this link the person sets a password, once, within seven days:"
        return led_to(request, f"/settings/people/{user_id}", said, shown_once=url)

    return await _submitted(request, user_id, act)


async def _submitted(request: Request, user_id: UUID, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show_user(asked, form, user_id)

    return await submitted(request, act, show)


async def _show_people(
    request: Request, form: Form, tab: str, email: str, order: UserOrder, after: str | None
) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await users.page(
            connection,
            role=Role(tab) if tab in ROLES else None,
            waiting=tab == "waiting",
            email=email or None,
            active=None if email else tab != "inactive",
            before=place_from_cursor(after, order.place_kind),
            limit=PER_PAGE,
            order=order,
        )
        waiting = await users.count_waiting(connection)
    query = {"tab": tab, "email": email, "order": in_query(order, _WAYS)}
    following = cursor_from_place(order.place_of(found[-1])) if len(found) == PER_PAGE else None
    return page(
        request,
        "settings/people.html",
        status=form.status,
        form=form,
        tab=tab,
        tabs=[(name, label, link(request.url.path, {"tab": name, "order": query["order"]})) for name, label in _TABS],
        email=email,
        sorting=Sorting("/settings/people", query, order, _WAYS),
        waiting=waiting,
        people=found,
        **beside(request, query, following),
    )


async def _show_user(request: Request, form: Form, user_id: UUID) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        user = await known_user(connection, user_id)
        deputy = await users.read(connection, user.deputy.user_id) if user.deputy else None
    is_oneself = user_id == caller_of(request).person_id
    return page(
        request, "settings/person.html", status=form.status, form=form, user=user, deputy=deputy, is_oneself=is_oneself
    )
