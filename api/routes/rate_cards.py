"""Rate cards: the rules that price actions (R5, R16)."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_out
from api.routing import Route
from api.schemas import answers
from api.schemas.rate_cards import RateIn, rate_out_from_stored_rate
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.policy_changes import InvalidRate
from db.core.engine import transaction
from db.ledger import policy_changes
from db.masters import rates
from db.masters.rates import NewRate, StoredRate

router = APIRouter(route_class=Route, prefix="/api/rate-cards", tags=["rate cards"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


@router.post("", status_code=201, dependencies=[_ADMIN], response_model=answers.Rate)
async def create_rate(request: Request, body: RateIn) -> Response:
    """Add a rule. It re-prices open actions; `task` tells how far that is. Closed periods are never touched (409)."""
    policies = state_of(request).policies
    try:
        async with unit_of_work(request) as uow:
            new = NewRate(
                partner_id=await partner_id_of(uow.connection, body.partner) if body.partner else None,
                product_id=await product_id_of(uow.connection, body.product) if body.product else None,
                lead_type=body.lead_type,
                action_type=body.action_type,
                engagement_level=body.engagement_level,
                amount_minor=body.amount,
                effective_from=body.effective_from,
            )
            created = await policy_changes.create_rate(uow, policies, new)
            content = _rate_out(await rates.read(uow.connection, created.rule_id), created.rule_id)
    except InvalidRate as error:
        raise _problem_from_invalid_rate(error, body) from None
    return json_response(content | {"task": task_out(created.task_id)}, 201)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Rate])
async def list_rates(request: Request, limit: Limit = 100, after: After = None) -> Response:
    """All rules, oldest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await rates.read_page(connection, after=place_from_cursor(after, int) or 0, limit=limit)
    following = cursor_from_place(found[-1].id) if len(found) == limit else None
    return json_response({"items": [rate_out_from_stored_rate(each) for each in found], "next": following})


@router.get("/{rule_id}", dependencies=[_READ], response_model=answers.Rate)
async def get_rate(request: Request, rule_id: int) -> Response:
    """One rule."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await rates.read(connection, rule_id) if 0 < rule_id < 2**63 else None
    return json_response(_rate_out(found, rule_id))


def _rate_out(rate: StoredRate | None, rule_id: int) -> dict[str, Any]:
    if rate is None:
        raise Problem(404, f"There is no rule {rule_id}.")
    return rate_out_from_stored_rate(rate)


def _problem_from_invalid_rate(error: InvalidRate, body: RateIn) -> Problem:
    detail = "Every engagement level has a price; give this one an amount."
    if error.field == "product":
        detail = f"Product {body.product!r} is not one of partner {body.partner!r}."
    return Problem(400, detail, [FieldError(f"#/{error.field}", str(error))])
