"""The audit: who changed what (P3)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import DayOrInstant, QueryText
from api.state import state_of
from api.wire import instant_out, json_response
from db.access import audit
from db.access.audit import AuditFilter, AuditLine
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/audit", tags=["audit"])


@router.get("", dependencies=[requires(Permission.ADMIN)], response_model=answers.Page[answers.AuditLine])
async def list_audit(
    request: Request,
    who: Annotated[QueryText | None, Query(description="only what this person or key did, by name or id")] = None,
    what: Annotated[
        QueryText | None, Query(description="only this, like `rate.changed`, or all of an area: `rate`")
    ] = None,
    start: Annotated[DayOrInstant | None, Query(alias="from", description="at or after; a day begins in UTC")] = None,
    end: Annotated[DayOrInstant | None, Query(alias="to", description="before")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Who changed what, when and whence, what it was before and what it is now, the newest first.

    Every change has a line but accepted leads and what follows from them. People who are billed for are named by key.
    """
    only = AuditFilter(who, what, start, end)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        lines = await audit.page(connection, only, before=place_from_cursor(after, int), limit=limit)
    following = cursor_from_place(lines[-1].id) if len(lines) == limit else None
    return json_response({"items": [_line_out(line) for line in lines], "next": following})


def _line_out(line: AuditLine) -> dict[str, Any]:
    return {
        "audit_id": line.id,
        "at": instant_out(line.at),
        "who": {"kind": line.who.kind, "id": line.who.id, "name": line.who.name},
        "request_id": line.request_id,
        "address": line.address,
        "what": line.what,
        "subject": line.subject,
        "before": line.before,
        "after": line.after,
    }
