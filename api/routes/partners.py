"""Partners: the companies that pay, with their terms."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath, PeriodQuery
from api.schemas.masters import PartnerChange, PartnerIn, TermsIn, partner_out_from_row
from api.state import state_of
from api.wire import json_response
from billing.periods import period_from_text
from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.masters import masters
from db.tasks import records
from db.tasks.notifications import RUN_TASK

router = APIRouter(route_class=Route, prefix="/api/partners", tags=["partners"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)
_OWN_FIELDS = {"name", "billing_email", "currency"}


@router.post(
    "",
    status_code=201,
    dependencies=[_ADMIN],
    response_model=answers.Partner,
    responses={200: {"model": answers.Partner, "description": "It is there already, just so."}},
)
async def create_partner(request: Request, body: PartnerIn) -> Response:
    """Create a partner; the same again answers 200, other content under the same id 409."""
    partner_id = partner_uuid(body.external_id)
    async with transaction(state_of(request).engine) as connection:
        created = await masters.create_partner(
            connection,
            partner_id,
            {name: getattr(body, name) for name in _OWN_FIELDS | {"external_id"}},
            body.terms_columns(set(TermsIn.model_fields)),
            body.timezone,
        )
        partner = await _partner_out(connection, partner_id)
    if not created:
        _require_same(partner, body)
    return json_response(partner, 201 if created else 200, {"Location": f"/api/partners/{partner_id}"})


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Partner])
async def list_partners(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Partners by external id."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await masters.page(connection, "partner", after=place_from_cursor(after, str), limit=limit)
        items = [await _partner_out(connection, row["id"]) for row in rows]
    following = cursor_from_place(rows[-1]["external_id"]) if len(rows) == limit else None
    return json_response({"items": items, "next": following})


@router.get("/{partner:path}/terms", dependencies=[_READ], response_model=answers.Page[answers.Partner])
async def list_terms(request: Request, partner: IdPath) -> Response:
    """All versions of a partner's terms, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner)
        starts = [row["from_period"] for row in await masters.terms_versions(connection, partner_id)]
        items = [await _partner_out(connection, partner_id, start) for start in starts]
    return json_response({"items": items, "next": None})


@router.get("/{partner:path}", dependencies=[_READ], response_model=answers.Partner)
async def get_partner(request: Request, partner: IdPath, period: PeriodQuery = None) -> Response:
    """A partner with its newest terms, or those in force in `period`."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner)
        return json_response(await _partner_out(connection, partner_id, period_from_text(period) if period else None))


@router.patch("/{partner:path}", dependencies=[_ADMIN], response_model=answers.Partner)
async def change_partner(request: Request, partner: IdPath, body: PartnerChange) -> Response:
    """Change a partner. Changed terms re-evaluate its open actions; `task` tells how far that is (R16)."""
    state = state_of(request)
    sent = body.model_fields_set
    if any(getattr(body, name) is None for name in sent & {"name", "currency", "timezone"}):
        raise Problem(400, "A partner must have a name, a currency and a time zone; they cannot be null.")
    terms = body.terms_columns(sent)
    if "effective_period" in sent and not terms:
        errors = [FieldError("#/effective_period", "says from when terms change, but no terms are sent")]
        raise Problem(400, "effective_period needs terms that change from then on.", errors)
    async with transaction(state.engine) as connection:
        partner_id = await partner_id_of(connection, partner)
        await locks.lock_partner_exclusive(connection, partner_id)
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        await masters.change_partner(connection, partner_id, {name: getattr(body, name) for name in _OWN_FIELDS & sent})
        if terms:
            await masters.change_terms(connection, policy, terms, body.effective_period)
        if body.timezone:
            await masters.change_timezone(connection, policy, body.timezone, datetime.now(UTC))
        task_id = None
        if terms or body.timezone:
            task_id = await _reevaluate(connection, request, partner_id)
        content = await _partner_out(connection, partner_id)
    state.policies.clear()
    if task_id:
        state.notifier.notify(RUN_TASK, str(task_id), request_id=request.scope["request_id"])
        content["task"] = {"task_id": task_id, "status_url": f"/api/tasks/{task_id}"}
    return json_response(content)


async def _reevaluate(connection: asyncpg.Connection, request: Request, partner_id: UUID) -> UUID:
    return await records.create(connection, "reevaluate", {"partner_ids": [partner_id]}, request.scope["request_id"])


async def _partner_out(connection: asyncpg.Connection, partner_id: UUID, period: int | None = None) -> dict[str, Any]:
    row = await masters.partner(connection, partner_id, period)
    assert row is not None
    return partner_out_from_row(row)


def _require_same(stored: dict[str, Any], body: PartnerIn) -> None:
    sent = body.model_dump(mode="json", include=body.model_fields_set)
    shown = {"cap": stored["cap"], "overage_unit_cost": stored["overage_unit_cost"]}
    for name in sent:
        want = getattr(body, name)
        have = stored[name]
        if name in shown:
            want = None if want is None else f"{want // 100}.{want % 100:02d}"
        elif name == "dedup_window":
            want = want.days if want.kind == "days" else want.kind
        if want != have:
            raise Problem(409, f"Partner {body.external_id!r} exists with another {name}: {have!r}.")
