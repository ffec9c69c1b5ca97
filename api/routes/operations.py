"""For operators: is it alive, can it accept, and the figures."""

import asyncio

import asyncpg
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.auth import require
from api.metrics import registry_with
from api.problems import OUT_OF_REACH, Problem
from api.routing import Route
from api.schemas import answers
from api.state import state_of
from api.wire import json_response
from db import health, metrics
from db.engine import transaction

router = APIRouter(route_class=Route, tags=["operations"])
_PATIENCE_S = 3.0


@router.get("/health", response_model=answers.Health)
async def live() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get("/ready", response_model=answers.Readiness)
async def ready(request: Request) -> Response:
    """Whether leads can be accepted: Postgres and its schema. What else is missing is listed as `degraded`."""
    state = state_of(request)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async with transaction(state.engine, readonly=True) as connection:
                missing = await health.missing_migrations(connection)
                waiting_s = 0.0 if missing else await health.oldest_waiting_s(connection)
    except (*OUT_OF_REACH, asyncpg.PostgresError):
        raise Problem(503, "Postgres cannot be reached.", headers={"Retry-After": "2"}) from None
    if missing:
        raise Problem(503, f"The database schema is not up to date: {missing}. Run `alembic upgrade head`.")
    degraded = await asyncio.to_thread(health.degraded, state.settings, waiting_s)
    return json_response({"status": "degraded" if degraded else "ok", "degraded": degraded})


@router.get(
    "/metrics",
    dependencies=[Depends(require("metrics"))],
    response_class=PlainTextResponse,
)
async def prometheus(request: Request) -> Response:
    """Prometheus metrics; business counters come from Postgres, so every process tells the same."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        figures = await metrics.read(connection)
    registry = registry_with(figures, state.doorbell.failures)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
