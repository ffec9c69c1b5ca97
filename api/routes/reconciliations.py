"""Reconciliations: a partner's own list of a month against what is billed here."""

from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.body import content_type
from api.ids import partner_id_of
from api.json_or_csv import CSV_TYPES, csv_text
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import QueryId, UuidPath
from api.schemas.reconciliation import entry_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.periods import period_from_text, text_from_period
from billing.reconciliation import Part, list_from_csv
from db.core.engine import transaction
from db.masters import partners
from db.reports import reconciliation
from db.tasks import records
from db.tasks.records import Task

router = APIRouter(route_class=Route, prefix="/api/reconciliations", tags=["reports"])
_READ = requires(Permission.READ, within_partner=True)
_MOST_BYTES = 10 * 1024 * 1024
_SHOWN = 100
_CSV = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {
                "schema": {
                    "type": "string",
                    "description": "columns `action_id`, or `lead_id` (and `source`), or `email` and `day`; `amount`",
                },
                "example": "email,day,amount\nada@docs.example,2024-06-03,10.00\n",
            }
        },
    }
}


@router.post("", status_code=202, dependencies=[_READ], openapi_extra=_CSV, response_model=answers.TaskStarted)
async def start_reconciliation(
    request: Request,
    partner: Annotated[QueryId, Query(description="whose list it is")],
    period: Annotated[str, Query(pattern="^(19|[2-9][0-9])[0-9]{2}-(0[1-9]|1[0-2])$", description="its month")],
) -> Response:
    """Compare a partner's list of a month, a CSV file of up to 100,000 rows; the task's id is that of the result.

    The list is deleted when it is compared. E-mails in it are not stored.
    """
    content_type(request, CSV_TYPES)
    given = await csv_text(request, list_from_csv, _MOST_BYTES)
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, partner, within=own_partner(request))
        task_id = await reconciliation.start(uow, partner_id, period_from_text(period), given)
    return task_started(task_id)


@router.get("/{reconciliation_id}", dependencies=[_READ], response_model=answers.Reconciliation)
async def get_reconciliation(request: Request, reconciliation_id: UuidPath) -> Response:
    """What matched, what is missing on either side and what differs, each with money and its first rows."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await known_reconciliation(request, connection, reconciliation_id)
        of = await partners.read(connection, UUID(task.arguments["partner_id"]))
        assert of is not None
        content: dict[str, Any] = {
            "task_id": reconciliation_id,
            "state": task.state,
            "error": task.error,
            "partner": of.external_id,
            "currency": of.currency,
            "period": text_from_period(task.arguments["period"]),
            "by": task.arguments["by"],
        }
        for part in Part:
            content[part] = task.result and task.result[part]
            if task.result and part is not Part.MATCHED:
                content[part] |= await _rows(connection, reconciliation_id, part, after=0, limit=_SHOWN, under="rows")
    return json_response(content)


@router.get("/{reconciliation_id}/rows", dependencies=[_READ], response_model=answers.Page[answers.ReconciledRow])
async def list_reconciled_rows(
    request: Request,
    reconciliation_id: UuidPath,
    part: Annotated[
        Literal["missing_here", "missing_there", "different"], Query(description="which rows")
    ] = "different",
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """The rows of a part, as they stand in the list; those that only we have at the end."""
    place = place_from_cursor(after, int) or 0
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await known_reconciliation(request, connection, reconciliation_id)
        return json_response(
            await _rows(connection, reconciliation_id, Part(part), after=place, limit=limit, under="items")
        )


async def known_reconciliation(request: Request, connection: asyncpg.Connection, task_id: UUID) -> Task:
    """The task; Problem 404 if there is none, or if it is about another partner than the caller's."""
    task, within = await records.read(connection, task_id), own_partner(request)
    if task is None or task.kind != reconciliation.KIND or within not in (None, UUID(task.arguments["partner_id"])):
        raise Problem(404, f"There is no reconciliation {task_id}.")
    return task


async def _rows(
    connection: asyncpg.Connection, task_id: UUID, part: Part, *, after: int, limit: int, under: str
) -> dict[str, Any]:
    found = await reconciliation.page(connection, task_id, part, after=after, limit=limit)
    following = cursor_from_place(found[-1].position) if len(found) == limit else None
    return {under: [entry_out(entry) for entry in found], "next": following}
