"""For operators: is it alive, can it accept, and the figures."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.access.permissions import Permission, requires
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.state import state_of
from api.wire import json_response
from db.core.engine import transaction
from db.core.version import version
from db.telemetry import business_figures
from db.telemetry.metrics import registry_with

router = APIRouter(route_class=Route, tags=["operations"])


@router.get("/health", response_model=answers.Health)
async def live() -> Response:
    """The process answers."""
    return json_response({"status": "ok", "version": version()})


@router.get("/ready", response_model=answers.Readiness)
async def ready(request: Request) -> Response:
    """Whether leads can be accepted: Postgres and its schema. What else is missing is listed as `degraded`."""
    found = await state_of(request).readiness.now()
    if found.fault:
        raise Problem(503, found.fault, headers={"Retry-After": "2"})
    return json_response({"status": "degraded" if found.degraded else "ok", "degraded": found.degraded})


@router.get(
    "/metrics",
    dependencies=[requires(Permission.METRICS)],
    response_class=PlainTextResponse,
)
async def prometheus(request: Request) -> Response:
    """Prometheus metrics; business counters come from Postgres, so every process tells the same."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        figures = await business_figures.read(connection)
    refused = {
        "rate": state.limiter.refused,
        "sign_in": state.sign_ins.refused,
        "body_bytes": state.body_budget.refused,
        **state.backpressure.refused,
    }
    registry = registry_with(figures, state.notifier.failures, refused)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
