"""Partners: the companies that pay, with their terms."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, without_names
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_out
from api.routing import Route
from api.schemas import answers
from api.schemas.contracts import ContractIn, PreferencesIn
from api.schemas.fields import IdPath, PeriodQuery, QueryId
from api.schemas.partners import PartnerChange, PartnerIn, TermsIn, partner_out_from_partner
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.periods import period_from_text
from db.contracts import changes, csm, reading
from db.contracts.changes import ContractUpdate
from db.contracts.reading import Contract
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
_NAMES = {"cap_minor": "cap", "csm_id": "csm"} | dict.fromkeys(PreferencesIn.model_fields, "preferences")
"""What fields of ours are called by callers, where that differs."""


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
        terms=PartnerTerms(**body.partner_terms()),
    )
    async with unit_of_work(request) as uow:
        contract = await _contract_update(uow.connection, body)
        created = await partners.create(uow, new)
        if created and contract:
            await changes.change(uow, partner_id, contract, None)
        stored = await partners.read(uow.connection, partner_id)
        assert stored is not None
        agreed = await reading.read(uow.connection, partner_id)
    content = partner_out_from_partner(stored, agreed)
    if not created and (name := _differing(body, contract, stored, agreed)):
        raise Problem(409, f"Partner {body.external_id!r} exists with another {name}: {content[name]!r}.")
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
            return json_response({"items": [await _partner_out(request, connection, one)], "next": None})
        found = await partners.read_page(connection, after=place_from_cursor(after, str), limit=limit)
        contracts = await reading.read_many(connection, [each.id for each in found])
    following = cursor_from_place(found[-1].external_id) if len(found) == limit else None
    return json_response(
        {"items": [partner_out_from_partner(each, contracts[each.id]) for each in found], "next": following}
    )


@router.get("/{partner:path}/terms", dependencies=[_READ], response_model=answers.Page[answers.Partner])
async def list_terms(request: Request, partner: IdPath) -> Response:
    """All versions of a partner's terms, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await _visible(request, connection, partner)
        starts = await reading.starts_of_versions(connection, partner_id)
        versions = [await _partner_out(request, connection, partner_id, start) for start in starts]
    return json_response({"items": versions, "next": None})


@router.get("/{partner:path}", dependencies=[_READ], response_model=answers.Partner)
async def get_partner(request: Request, partner: IdPath, period: PeriodQuery = None) -> Response:
    """A partner with its newest terms, or those in force in `period`."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await _visible(request, connection, partner)
        content = await _partner_out(request, connection, partner_id, period_from_text(period) if period else None)
    return json_response(content)


@router.patch(
    "/{partner:path}",
    dependencies=[requires(Permission.PRICING, within_partner=True, or_else=Permission.BILL)],
    response_model=answers.Partner,
)
async def change_partner(request: Request, partner: IdPath, body: PartnerChange) -> Response:
    """Change a partner. Changed terms that decide verdicts re-evaluate its open actions; `task` tells how far (R16).

    These start no earlier than the first open period, billing terms with any period whose bill is not issued (B3).
    Who has `bill` changes billing terms only.
    """
    sent = body.model_fields_set
    if any(getattr(body, name) is None for name in sent & {"name", "currency", "timezone"}):
        raise Problem(400, "A partner must have a name, a currency and a time zone; they cannot be null.")
    _check_fields(request, body)
    async with unit_of_work(request) as uow:
        partner_id = await _visible(request, uow.connection, partner)
        update = PartnerUpdate(
            fields={name: getattr(body, name) for name in _OWN_FIELDS & sent},
            terms=body.partner_terms(),
            effective_period=body.effective_period,
            timezone=body.timezone,
            contract=await _contract_update(uow.connection, body),
        )
        if "effective_period" in sent and not (update.terms or update.contract.terms):
            errors = [FieldError("#/effective_period", "says from when terms change, but no terms are sent")]
            raise Problem(400, "effective_period needs terms that change from then on.", errors)
        policies = state_of(request).policies
        task_id = await policy_changes.change_partner(uow, policies, partner_id, update, datetime.now(UTC))
        content = await _partner_out(request, uow.connection, partner_id)
    if task_id:
        content["task"] = task_out(task_id)
    return json_response(content)


def _check_fields(request: Request, body: PartnerChange) -> None:
    """Problem 403 for fields that the caller may not change: some are for Admins, others are no billing terms."""
    caller, sent = caller_of(request), body.model_fields_set
    if not caller.may(Permission.ADMIN) and (pointers := body.admin_fields()):
        raise _forbidden(pointers, "is changed by Admins only")
    if caller.partner_id is not None and "csm" in sent:
        raise _forbidden(["#/csm"], "is not changed by those who are bound to a partner")
    others = sent - ContractIn.model_fields.keys() - {"effective_period"}
    if others and not caller.may(Permission.PRICING, caller.partner_id):
        raise _forbidden([f"#/{name}" for name in sorted(others)], "is not changed without the permission 'pricing'")


def _forbidden(pointers: list[str], why: str) -> Problem:
    return Problem(403, f"{pointers[0]} {why}.", [FieldError(pointer, why) for pointer in pointers])


async def _visible(request: Request, connection: asyncpg.Connection, partner: str) -> UUID:
    return await partner_id_of(connection, partner, within=own_partner(request))


async def _contract_update(connection: asyncpg.Connection, body: TermsIn) -> ContractUpdate:
    terms = body.billing_terms()
    if "csm" in body.model_fields_set:
        terms["csm_id"] = await csm.find(connection, body.csm) if body.csm else None
    return ContractUpdate(terms, body.billing_settings())


async def _partner_out(
    request: Request, connection: asyncpg.Connection, partner_id: UUID, period: int | None = None
) -> dict[str, Any]:
    partner = await partners.read(connection, partner_id, period)
    assert partner is not None
    content = partner_out_from_partner(partner, await reading.read(connection, partner_id, period))
    return without_names(request, content, "csm")


def _differing(body: PartnerIn, sent: ContractUpdate, partner: Partner, contract: Contract) -> str | None:
    """The name of the first field that was sent and is stored otherwise."""
    own = {
        name: getattr(body, name)
        for name in sorted(body.model_fields_set & (_OWN_FIELDS | {"external_id", "timezone"}))
    }
    pairs = (
        (own, partner),
        (body.partner_terms(), partner.terms),
        ({name: value for name, value in sent.terms.items() if name != "preferences"}, contract.terms),
        (sent.terms.get("preferences", {}), contract.terms.preferences),
        (sent.settings, contract.settings),
    )
    differing = [name for want, have in pairs for name, value in want.items() if getattr(have, name) != value]
    return _NAMES.get(differing[0], differing[0]) if differing else None
