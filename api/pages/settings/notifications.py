"""Notifications: which mails went to whom, where each stands, and trying again what was given up."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, link
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.mail import retry_mails
from api.routing import Route
from api.schemas.mail import RetryMailsIn
from api.state import state_of
from db.core.engine import transaction
from db.mail import outgoing
from db.mail.outgoing import MailKind, MailState
from db.masters import partners

router = APIRouter(
    route_class=Route,
    include_in_schema=False,
    prefix="/settings/notifications",
    dependencies=[requires(Permission.ADMIN)],
)

_STATES = {
    MailState.WAITING: ("On its way", "waiting"),
    MailState.SENT: ("Sent", "good"),
    MailState.BOUNCED: ("Bounced", "bad"),
    MailState.GIVEN_UP: ("Given up", "bad"),
}
_KINDS = {MailKind.BILL: "Bill", MailKind.REMINDER: "Reminder", MailKind.NOTICE: "To people here"}
_TABS = (("", "All"), ("waiting", "On their way"), ("bounced", "Bounced"), ("given_up", "Given up"))


@router.get("")
async def show_notifications(request: Request, state: str = "", kind: str = "", after: After = None) -> Response:
    """Mails, the newest first; of a kind, or those that stand so at an address."""
    return await _show(request, Form(), state, kind, after)


@router.post("/retry")
async def retry_mails_here(request: Request) -> Response:
    """Send the chosen mails that were given up again."""

    async def act(form: Form) -> Response:
        if not form.all("mail"):
            raise Problem(400, "Choose the mails first.")
        await retry_mails(request, form.read_as(RetryMailsIn, {"ids": list(form.all("mail"))}))
        return led_to(request, "/settings/notifications", "They are sent again now.")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, MailState.GIVEN_UP.value, "", None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, state: str, kind: str, after: str | None) -> Response:
    tab = state if state in dict(_TABS) else ""
    only = kind if kind in set(MailKind) else ""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await outgoing.page(
            connection,
            state=MailState(tab) if tab else None,
            kind=MailKind(only) if only else None,
            before=place_from_cursor(after, tuple[datetime, UUID]),
            limit=PER_PAGE,
        )
        zones = await partners.zones(connection, {mail.partner_id for mail in found if mail.partner_id})
    following = cursor_from_place((found[-1].created_at, found[-1].id)) if len(found) == PER_PAGE else None
    path = "/settings/notifications"
    return page(
        request,
        "settings/notifications.html",
        status=form.status,
        form=form,
        tab=tab,
        tabs=[(name, label, link(path, {"state": name, "kind": only})) for name, label in _TABS],
        kind=only,
        kinds=_KINDS,
        states_of_mail=_STATES,
        mails=found,
        zones=zones,
        may_retry=tab == MailState.GIVEN_UP,
        is_sent=bool(state_of(request).settings.smtp_url),
        links=beside(request, {"state": tab, "kind": only}, following),
    )
