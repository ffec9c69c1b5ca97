"""A partner's own people compare their list of a month with what is billed."""

from collections.abc import AsyncGenerator
from hashlib import sha256
from uuid import UUID, uuid4, uuid5

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.forms import sent_file
from api.pages.exports import ROWS_AT_ONCE, Rows, exported, money
from api.pages.forms import Form, submitted
from api.pages.languages import language_of_partner
from api.pages.lists import month_from_text
from api.pages.rendering import led_to, page
from api.pages.sent_csv import sent_csv
from api.problems import Problem
from api.routes.reconciliations import known_reconciliation
from api.routing import Route
from api.schemas.fields import UuidPath
from api.state import state_of, unit_of_work
from billing.reconciliation import Part, list_from_csv
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text
from db.masters import partners
from db.reports import reconciliation
from db.reports.reconciliation import Entry
from db.reports.sheets import Cell
from db.tasks import records

PATH = "/partner/reconciliation"
router = APIRouter(route_class=Route, include_in_schema=False, prefix=PATH)
_READ = requires(Permission.READ, within_partner=True)
_MOST_EARLIER = 10
_SHOWN = 50
_PARTS = (Part.DIFFERENT, Part.MISSING_HERE, Part.MISSING_THERE)
_COLUMNS = ("part", "line", "lead_id", "action_id", "customer", "day", "yours", "billed")


@router.get("", dependencies=[_READ])
async def show_reconciliations(request: Request) -> Response:
    """The form for a list, and what was compared before; our own people are led to all partners."""
    return await _show(request, Form())


@router.post("", dependencies=[_READ])
async def reconcile_here(request: Request) -> Response:
    """Compare a list of the caller's own partner; the same form sent again leads to the same result."""

    async def act(form: Form) -> Response:
        if (within := own_partner(request)) is None:
            said = "Here a partner's own people compare their list"
            raise Problem(403, f"{said}; the command leadger reconcile compares one for any partner.")
        period = month_from_text(form.value("period").strip())
        given = await sent_csv(request, list_from_csv)
        asked = f"{within} {period} {sha256(sent_file(request, 'file').content).hexdigest()}"
        task_id = uuid5(uuid_from_text(form.value("form_id")) or uuid4(), asked)
        async with unit_of_work(request) as uow:
            await reconciliation.start(uow, within, period, given, task_id=task_id)
        return led_to(request, f"{PATH}/{task_id}")

    return await submitted(request, act, _show)


@router.get("/{reconciliation_id}", dependencies=[_READ])
async def show_reconciliation(request: Request, reconciliation_id: UuidPath) -> Response:
    """What is alike, what is missing on either side and what differs, each with money and its first rows."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await known_reconciliation(request, connection, reconciliation_id)
        partner_id = UUID(task.arguments["partner_id"])
        partner, language = (
            await partners.read(connection, partner_id),
            await language_of_partner(connection, partner_id),
        )
        rows = {part: await _first(connection, reconciliation_id, part) for part in _PARTS if task.result}
    return page(
        request,
        "own_reconciliation_result.html",
        language=language,
        task=task,
        partner=partner,
        parts=(Part.MATCHED, *_PARTS),
        rows=rows,
    )


@router.get("/{reconciliation_id}/rows", dependencies=[_READ])
async def export_reconciliation(request: Request, reconciliation_id: UuidPath) -> Response:
    """All that is not in both lists alike, as CSV."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        await known_reconciliation(request, connection, reconciliation_id)

    async def rows() -> Rows:
        async with transaction(state.engine, readonly=True) as connection:
            for part in _PARTS:
                async for some in _all(connection, reconciliation_id, part):
                    yield [_cells(part, entry) for entry in some]

    return exported(request, "csv", "reconciliation", _COLUMNS, rows())


async def _first(connection: asyncpg.Connection, task_id: UUID, part: Part) -> list[Entry]:
    return await reconciliation.page(connection, task_id, part, limit=_SHOWN)


async def _all(connection: asyncpg.Connection, task_id: UUID, part: Part) -> AsyncGenerator[list[Entry], None]:
    after = 0
    while some := await reconciliation.page(connection, task_id, part, after=after, limit=ROWS_AT_ONCE):
        yield some
        after = some[-1].position


def _cells(part: Part, entry: Entry) -> list[Cell]:
    theirs, ours = [None if minor is None else money(minor) for minor in (entry.theirs_minor, entry.ours_minor)]
    action, day = str(entry.action_id or ""), entry.day.isoformat() if entry.day else ""
    return [part.value, entry.line, entry.lead_id, action, entry.customer, day, theirs, ours]


async def _show(request: Request, form: Form) -> Response:
    if (within := own_partner(request)) is None:
        return led_to(request, "/partners")
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner = await partners.read(connection, within)
        earlier = await records.page(
            connection, state=None, kind=reconciliation.KIND, before=None, limit=_MOST_EARLIER, partner_id=within
        )
    return page(
        request,
        "own_reconciliation.html",
        status=form.status,
        form=form,
        partner=partner,
        earlier=earlier,
        form_id=uuid4(),
    )
