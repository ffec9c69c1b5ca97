"""Reminders of overdue bills: which are due now, and sending them before the schedule does."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.mail import reminder_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.bills.mail import reminders
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/reminders", tags=["mail"])


@router.get("", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.Reminder])
async def list_reminders(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """The reminders that are due now and will go with the next run. A page may have fewer and still a next one."""
    steps, now, place = state_of(request).settings.reminder_days, datetime.now(UTC), place_from_cursor(after, UUID)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await reminders.candidates(connection, steps, now, after=place, limit=limit)
        due = [await reminders.due(connection, bill_id, steps, now) for bill_id in found]
    following = cursor_from_place(found[-1]) if len(found) == limit else None
    return json_response({"items": [reminder_out(each) for each in due if each], "next": following})


@router.post("", status_code=202, dependencies=[requires(Permission.BILL)], response_model=answers.TaskStarted)
async def start_reminders(request: Request) -> Response:
    """Send the reminders that are due now; each bill is reminded of once at each step, whoever asks."""
    async with unit_of_work(request) as uow:
        return task_started(await reminders.request(uow))
