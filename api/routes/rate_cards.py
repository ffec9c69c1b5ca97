"""Rate cards: the rules that price actions (R5, R16)."""

from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner, without_names
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_out, task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import QueryId
from api.schemas.rate_cards import RateChangeIn, RateIn, rate_out_from_stored_rate
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.periods import Calendar
from billing.rates import InvalidRate
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import rate_changes, rate_preview
from db.ledger.rate_changes import RateChanged
from db.masters import rates
from db.masters.rates import NewRate, StoredRate

router = APIRouter(route_class=Route, prefix="/api/rate-cards", tags=["rate cards"])
_READ = requires(Permission.READ, within_partner=True)
_PRICING = requires(Permission.PRICING, within_partner=True)
_PREVIEW: dict[int | str, dict[str, Any]] = {
    202: {"model": answers.TaskStarted, "description": "with `dry_run`: the task whose result is the difference"}
}
_NOT_OF_PARTNER = "This key is bound to a partner, and sets prices by rules that name this partner only."
DryRun = Annotated[
    bool, Query(description="change nothing; a task says what would differ, per partner and month (202)")
]


@router.post("", status_code=201, dependencies=[_PRICING], response_model=answers.Rate, responses=_PREVIEW)
async def create_rate(request: Request, body: RateIn, dry_run: DryRun = False) -> Response:
    """Add a rule, or replace the one with the same conditions and start.

    It re-prices open actions; `task` tells how far that is. Closed periods are never touched (409).
    """
    try:
        async with unit_of_work(request) as uow:
            new = await _new_rate(request, uow.connection, body)
            if dry_run:
                return task_started(await rate_preview.start(uow, new))
            created = await rate_changes.create_rate(uow, state_of(request).policies, new)
            content = await _changed_out(request, uow, created)
    except InvalidRate as error:
        raise _problem_from_invalid_rate(error, body) from None
    return json_response(content, 201)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Rate])
async def list_rates(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only rules that can price this partner's actions")] = None,
    ended: Annotated[bool, Query(description="also rules that were ended or replaced")] = False,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """The rules in force, oldest first; of a partner, with the time for which each counts for it."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        within = own_partner(request)
        partner_id = await partner_id_of(connection, partner, within=within) if partner else within
        place = place_from_cursor(after, int) or 0
        found = await rates.read_page(connection, after=place, limit=limit, partner_id=partner_id, ended=ended)
        calendar = (await state.policies.load(connection, [partner_id]))[partner_id].calendar if partner_id else None
    following = cursor_from_place(found[-1].id) if len(found) == limit else None
    items = [_rate_out(request, each, calendar) for each in found]
    return json_response({"items": items, "next": following})


@router.get("/{rule_id}", dependencies=[_READ], response_model=answers.Rate)
async def get_rate(request: Request, rule_id: int) -> Response:
    """One rule, also one that has ended."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        return json_response(_rate_out(request, await _rate(request, connection, rule_id)))


@router.patch("/{rule_id}", dependencies=[_PRICING], response_model=answers.Rate, responses=_PREVIEW)
async def change_rate(request: Request, rule_id: int, body: RateChangeIn, dry_run: DryRun = False) -> Response:
    """Give a rule another amount. It ends; the answer is the rule that takes its place, with an id of its own.

    The new one starts where the old one did, or, where that is closed, with each partner's first open period.
    """
    try:
        async with unit_of_work(request) as uow:
            await _require_changeable(request, uow.connection, rule_id)
            if dry_run:
                return task_started(await rate_preview.start(uow, rule_id, body.amount))
            changed = await rate_changes.change_rate(uow, state_of(request).policies, rule_id, body.amount)
            return json_response(await _changed_out(request, uow, changed))
    except InvalidRate as error:
        raise _problem_from_invalid_rate(error, None) from None


@router.delete("/{rule_id}", dependencies=[_PRICING], response_model=answers.Rate, responses=_PREVIEW)
async def end_rate(request: Request, rule_id: int, dry_run: DryRun = False) -> Response:
    """End a rule. It counts in closed periods only; in open ones, what counted before it counts again."""
    async with unit_of_work(request) as uow:
        await _require_changeable(request, uow.connection, rule_id)
        if dry_run:
            return task_started(await rate_preview.start(uow, rule_id))
        ended = await rate_changes.end_rate(uow, state_of(request).policies, rule_id)
        return json_response(await _changed_out(request, uow, ended))


async def _new_rate(request: Request, connection: asyncpg.Connection, body: RateIn) -> NewRate:
    within = own_partner(request)
    if within and not body.partner:
        raise Problem(403, _NOT_OF_PARTNER, [FieldError("#/partner", "must name the partner of this key")])
    return NewRate(
        partner_id=await partner_id_of(connection, body.partner, within=within) if body.partner else None,
        product_id=await product_id_of(connection, body.product, within=within) if body.product else None,
        lead_type=body.lead_type,
        action_type=body.action_type,
        engagement_level=body.engagement_level,
        amount_minor=body.amount,
        start=body.effective_from,
    )


async def _rate(request: Request, connection: asyncpg.Connection, rule_id: int) -> StoredRate:
    found = await rates.read(connection, rule_id, own_partner(request)) if 0 < rule_id < 2**63 else None
    if found is None:
        raise Problem(404, f"There is no rule {rule_id}.")
    return found


async def _require_changeable(request: Request, connection: asyncpg.Connection, rule_id: int) -> None:
    """Problem 404 without such a rule, 403 for a bound caller if it is not a rule of its partner alone."""
    stored = await _rate(request, connection, rule_id)
    if own_partner(request) not in (None, stored.rate.partner_id):
        raise Problem(403, _NOT_OF_PARTNER)


def _rate_out(request: Request, stored: StoredRate, calendar: Calendar | None = None) -> dict[str, Any]:
    return without_names(request, rate_out_from_stored_rate(stored, calendar), "created_by", "ended_by")


async def _changed_out(request: Request, uow: UnitOfWork, changed: RateChanged) -> dict[str, Any]:
    content = _rate_out(request, await _rate(request, uow.connection, changed.rule_id))
    return content | {"task": task_out(changed.task_id)}


def _problem_from_invalid_rate(error: InvalidRate, body: RateIn | None) -> Problem:
    detail = "Every engagement level has a price; give this one an amount."
    if error.field == "product" and body is not None:
        detail = f"Product {body.product!r} is not one of partner {body.partner!r}."
    return Problem(400, detail, [FieldError(f"#/{error.field}", str(error))])
