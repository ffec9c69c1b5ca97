"""Partners: the companies that pay, with their terms."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_out
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath, PeriodQuery, QueryId
from api.schemas.partners import PartnerChange, PartnerIn, TermsIn, partner_out_from_partner
from api.state import state_of, unit_of_work
from api.wire import amount_out, json_response
from billing.periods import period_from_text
from billing.terms import wire_from_window
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.ledger import policy_changes
from db.ledger.policy_changes import PartnerUpdate
from db.masters import partners
from db.masters.partners import NewPartner, Partner
from db.masters.terms import PartnerTerms

router = APIRouter(route_class=Route, prefix="/api/partners", tags=["partners"])
_READ = requires(Permission.READ, within_partner=True)
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
    new = NewPartner(
        external_id=body.external_id,
        name=body.name,
        billing_email=body.billing_email,
        currency=body.currency,
        timezone=body.timezone,
        terms=PartnerTerms(**body.terms_fields(set(TermsIn.model_fields))),
    )
    async with unit_of_work(request) as uow:
        created = await partners.create(uow, new)
        content = _partner_out(await partners.read(uow.connection, partner_id))
    if not created:
        _require_same(content, body)
    return json_response(content, 201 if created else 200, {"Location": f"/api/partners/{partner_id}"})


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Partner])
async def list_partners(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="this one alone, by its own id, or by its UUID")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Partners by external id. With `partner` it is that one or none, also if its id is a word of a path."""
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        if partner or within:
            one = await partner_id_of(connection, partner or str(within), within=within)
            return json_response({"items": [_partner_out(await partners.read(connection, one))], "next": None})
        found = await partners.read_page(connection, after=place_from_cursor(after, str), limit=limit)
    following = cursor_from_place(found[-1].external_id) if len(found) == limit else None
    return json_response({"items": [partner_out_from_partner(each) for each in found], "next": following})


@router.get("/{partner:path}/terms", dependencies=[_READ], response_model=answers.Page[answers.Partner])
async def list_terms(request: Request, partner: IdPath) -> Response:
    """All versions of a partner's terms, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        versions = await partners.read_versions(connection, await _visible(request, connection, partner))
    return json_response({"items": [partner_out_from_partner(each) for each in versions], "next": None})


@router.get("/{partner:path}", dependencies=[_READ], response_model=answers.Partner)
async def get_partner(request: Request, partner: IdPath, period: PeriodQuery = None) -> Response:
    """A partner with its newest terms, or those in force in `period`."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await _visible(request, connection, partner)
        found = await partners.read(connection, partner_id, period_from_text(period) if period else None)
    return json_response(_partner_out(found))


@router.patch(
    "/{partner:path}", dependencies=[requires(Permission.PRICING, within_partner=True)], response_model=answers.Partner
)
async def change_partner(request: Request, partner: IdPath, body: PartnerChange) -> Response:
    """Change a partner. Changed terms re-evaluate its open actions; `task` tells how far that is (R16)."""
    sent = body.model_fields_set
    if any(getattr(body, name) is None for name in sent & {"name", "currency", "timezone"}):
        raise Problem(400, "A partner must have a name, a currency and a time zone; they cannot be null.")
    update = PartnerUpdate(
        fields={name: getattr(body, name) for name in _OWN_FIELDS & sent},
        terms=body.terms_fields(sent),
        effective_period=body.effective_period,
        timezone=body.timezone,
    )
    if "effective_period" in sent and not update.terms:
        errors = [FieldError("#/effective_period", "says from when terms change, but no terms are sent")]
        raise Problem(400, "effective_period needs terms that change from then on.", errors)
    async with unit_of_work(request) as uow:
        partner_id = await _visible(request, uow.connection, partner)
        policies = state_of(request).policies
        task_id = await policy_changes.change_partner(uow, policies, partner_id, update, datetime.now(UTC))
        content = _partner_out(await partners.read(uow.connection, partner_id))
    if task_id:
        content["task"] = task_out(task_id)
    return json_response(content)


async def _visible(request: Request, connection: asyncpg.Connection, partner: str) -> UUID:
    return await partner_id_of(connection, partner, within=own_partner(request))


def _partner_out(partner: Partner | None) -> dict[str, Any]:
    assert partner is not None
    return partner_out_from_partner(partner)


def _require_same(stored: dict[str, Any], body: PartnerIn) -> None:
    sent = body.model_dump(mode="json", include=body.model_fields_set)
    amounts = {"cap", "overage_unit_cost"}
    for name in sent:
        want = getattr(body, name)
        have = stored[name]
        if name in amounts:
            want = amount_out(want)
        elif name == "dedup_window":
            want = wire_from_window(want)
        if want != have:
            raise Problem(409, f"Partner {body.external_id!r} exists with another {name}: {have!r}.")
