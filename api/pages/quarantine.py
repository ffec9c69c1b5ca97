"""The quarantine: accepted leads that cannot be billed yet, and what to do with them."""

from collections.abc import Callable

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, problem_detail
from api.pages.exports import ExportKind, exported_list, files_of
from api.pages.forms import Act, Form, number_from_text, submitted
from api.pages.lists import PER_PAGE, beside, link
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes import quarantine as routes
from api.routing import Route
from api.state import state_of
from api.wire import instant_out
from db.core.engine import transaction
from db.intake import quarantine
from db.intake.quarantine import QuarantinedLead
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/quarantine")

_REASONS = {
    "unknown_product": "Unknown product",
    "unknown_customer": "Unknown customer",
    "conflict": "Conflict of leads",
    "action_conflict": "Conflict of actions",
}
_STATES = {"open": "Open", "decided": "Decided", "superseded": "Superseded", "discarded": "Discarded"}


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_quarantine(request: Request, state: str = "open", reason: str = "", after: After = None) -> Response:
    """Leads in quarantine, the oldest first; and those that left, by state."""
    return await _show(request, Form(), state, reason, after)


@router.get("/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_quarantine(
    request: Request, kind: ExportKind = "csv", state: str = "open", reason: str = ""
) -> Response:
    """The same leads as a file, all of them."""

    async def read(
        connection: asyncpg.Connection, after: int | None, limit: int
    ) -> tuple[list[QuarantinedLead], int | None]:
        found = await _found(request, connection, state, reason, after, limit)
        return found, found[-1].id if len(found) == limit else None

    return await exported_list(request, kind, "quarantine", _columns(request), read)


@router.post("/retry", dependencies=[requires(Permission.ADMIN)])
async def retry_quarantine_here(request: Request) -> Response:
    """Evaluate the chosen leads again, or all."""

    async def act(form: Form) -> Response:
        ids = _chosen(form)
        if not ids and not form.value("all"):
            raise Problem(400, "Choose the leads first.")
        await routes.retry_quarantine(request, form.read_as(routes.RetryQuarantineIn, {"ids": ids or None}))
        return led_to(request, "/quarantine", "They are tried again now; those that can be billed leave this list.")

    return await _submitted(request, act)


@router.post("/discard", dependencies=[requires(Permission.ADMIN)])
async def discard_quarantined_here(request: Request) -> Response:
    """Let the chosen leads go undecided, for a reason."""

    async def act(form: Form) -> Response:
        ids = _chosen(form)
        if not ids:
            raise Problem(400, "Choose the leads first.")
        body = form.read_as(routes.DiscardIn, {"ids": ids, "reason": form.value("reason")})
        discarded, not_open = await routes.discarded_rows(request, body)
        said = f"{discarded} discarded."
        return led_to(request, "/quarantine", said if not not_open else f"{said} {len(not_open)} had left already.")

    return await _submitted(request, act)


async def _submitted(request: Request, act: Act) -> Response:
    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, "open", form.value("only"), None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, state: str, reason: str, after: str | None) -> Response:
    state = state if state in _STATES else "open"
    place = place_from_cursor(after, int)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await _found(request, connection, state, reason, place, PER_PAGE)
    query = {"state": state, "reason": reason}
    following = cursor_from_place(found[-1].id) if len(found) == PER_PAGE else None
    return page(
        request,
        "quarantine.html",
        status=form.status,
        form=form,
        state=state,
        reason=reason if reason in _REASONS else "",
        reasons=_REASONS,
        tabs=[(name, label, link("/quarantine", {"state": name})) for name, label in _STATES.items()],
        rows=[(each, problem_detail(request, each.reason, each.detail)) for each in found],
        may_act=state == "open" and caller_of(request).may(Permission.ADMIN),
        links=beside(request, query, following),
        files=files_of("/quarantine/export", query),
    )


async def _found(
    request: Request, connection: asyncpg.Connection, state: str, reason: str, after: int | None, limit: int
) -> list[QuarantinedLead]:
    return await quarantine.page(
        connection,
        reason=reason if reason in _REASONS else None,
        after=after or 0,
        limit=limit,
        state=state if state in _STATES else "open",
        partner_id=own_partner(request),
    )


def _columns(request: Request) -> dict[str, Callable[[QuarantinedLead], Cell]]:
    columns: dict[str, Callable[[QuarantinedLead], Cell]] = {
        "lead": lambda row: row.lead.external_id,
        "source": lambda row: row.lead.source,
        "reason": lambda row: _REASONS.get(row.reason, row.reason),
        "detail": lambda row: problem_detail(request, row.reason, row.detail),
        "customer": lambda row: row.lead.customer,
        "product": lambda row: row.lead.product,
        "actions": lambda row: len(row.lead.actions),
        "received_at": lambda row: instant_out(row.received_at),
        "state": lambda row: row.state,
        "left_at": lambda row: instant_out(row.left_at) if row.left_at else None,
        "left_by": lambda row: row.left_by,
        "left_because": lambda row: row.left_because,
    }
    if own_partner(request) is not None:
        del columns["left_by"]
    return columns


def _chosen(form: Form) -> list[int | str]:
    return [number_from_text(each) for each in form.all("row")]
