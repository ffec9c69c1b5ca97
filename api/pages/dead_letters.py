"""Dead letters: leads that a fault kept from being decided, and background tasks that failed."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.forms import Form, number_from_text, submitted
from api.pages.lists import PER_PAGE, beside
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes import quarantine as routes
from api.routing import Route
from api.state import state_of
from db.core.engine import transaction
from db.intake import dead_letters
from db.tasks import records

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/dead-letters")


@router.get("", dependencies=[requires(Permission.READ)])
async def show_dead_letters(request: Request, after: After = None) -> Response:
    """Leads that could not be decided because of a fault, the oldest first."""
    return await _show(request, Form(), after)


@router.get("/tasks", dependencies=[requires(Permission.READ)])
async def show_failed_tasks(request: Request, after: After = None) -> Response:
    """Background tasks that failed, the newest first."""
    before = place_from_cursor(after, tuple[datetime, UUID])
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await records.page(
            connection, state="failed", kind=None, before=before, limit=PER_PAGE, partner_id=None
        )
        zones = await records.zones(connection, [task.id for task in found])
    following = cursor_from_place((found[-1].created_at, found[-1].id)) if len(found) == PER_PAGE else None
    return page(request, "dead_letters/tasks.html", tasks=found, zones=zones, links=beside(request, {}, following))


@router.post("/retry", dependencies=[requires(Permission.ADMIN)])
async def retry_dead_letters_here(request: Request) -> Response:
    """Put the chosen leads back to be decided, or all of them, 1,000 at once."""

    async def act(form: Form) -> Response:
        ids = [number_from_text(each) for each in form.all("row")]
        if not ids and not form.value("all"):
            raise Problem(400, "Choose the leads first.")
        done = await routes.retried_letters(request, form.read_as(routes.RetryLettersIn, {"ids": ids or None}))
        left = " The others wait for the next time." if done.left else ""
        return led_to(request, "/dead-letters", f"{done.retried} of {done.of} are decided again now.{left}")

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, after: str | None) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await dead_letters.page(connection, after=place_from_cursor(after, int) or 0, limit=PER_PAGE)
        zones = await dead_letters.zones(connection, [each.id for each in found])
    following = cursor_from_place(found[-1].id) if len(found) == PER_PAGE else None
    return page(
        request,
        "dead_letters/leads.html",
        status=form.status,
        form=form,
        letters=found,
        zones=zones,
        may_act=caller_of(request).may(Permission.ADMIN),
        links=beside(request, {}, following),
    )
