"""Fraud rules and screens (M4)."""

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool, StrictInt

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.problems import Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Id, Period
from api.schemas.fraud import rule_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.fraud.rules import RULES
from db.core.engine import transaction
from db.fraud import screening, set_rules
from db.fraud.set_rules import RuleChange, Tally

router = APIRouter(route_class=Route, prefix="/api/fraud", tags=["fraud"])


class FraudRuleIn(Body):
    """What to change of a rule; limits that are not named stay."""

    armed: StrictBool | None = None
    threshold: StrictInt | None = Field(None, ge=1, le=100)
    limits: dict[str, StrictInt] | None = Field(None, max_length=10)


class ScreenIn(Body):
    """Which month of which partner to screen."""

    partner: Id
    period: Period


@router.get("/rules", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.FraudRule])
async def list_fraud_rules(request: Request) -> Response:
    """Every rule as it is set, and what the newest screens of all partners found by it."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        tallies = await set_rules.tallies(connection)
        items = [rule_out(each, tallies.get(each.rule.name, Tally())) for each in await set_rules.read_all(connection)]
    return json_response({"items": items, "next": None})


@router.patch("/rules/{rule}", dependencies=[requires(Permission.ADMIN)], response_model=answers.FraudRule)
async def change_fraud_rule(request: Request, rule: str, body: FraudRuleIn) -> Response:
    """Arm a rule, or put it back in shadow; set its threshold and limits. It counts from the next screen on."""
    if rule not in RULES:
        raise Problem(404, f"There is no fraud rule {rule!r}; the rules are {', '.join(RULES)}.")
    async with unit_of_work(request) as uow:
        changed = await set_rules.change(uow, RULES[rule], RuleChange(body.armed, body.threshold, body.limits))
        tallies = await set_rules.tallies(uow.connection)
    return json_response(rule_out(changed, tallies.get(rule, Tally())))


@router.post("/screen", status_code=202, dependencies=[requires(Permission.BILL)], response_model=answers.TaskStarted)
async def screen_fraud(request: Request, body: ScreenIn) -> Response:
    """Screen a partner's month: the task counts what every rule finds, and holds what armed ones find."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        task_id = await screening.start(uow, partner_id, body.period)
    return task_started(task_id)
