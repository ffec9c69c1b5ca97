"""For operators: is it alive, can it accept, and the figures."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import structlog
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
from db.core.errors import DATABASE_UNAVAILABLE
from db.core.version import version
from db.intake import backlog
from db.tasks import pauses
from db.telemetry import business_figures, health
from db.telemetry.metrics import registry_with

log = structlog.get_logger()

router = APIRouter(route_class=Route, tags=["operations"])
_PATIENCE_S = 3.0
_MOST_ROWS_COUNTED = 10_000


@router.get("/health", response_model=answers.Health)
async def live() -> Response:
    """The process answers."""
    return json_response({"status": "ok", "version": version()})


@router.get("/ready", response_model=answers.Readiness)
async def ready(request: Request) -> Response:
    """Whether leads can be accepted: Postgres and its schema. What else is missing is listed as `degraded`."""
    state = state_of(request)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async with transaction(state.engine, readonly=True) as connection:
                missing = await health.missing_migrations(connection)
                waited_s = 0.0 if missing else await backlog.waited_s(connection)
                waiting = 0 if missing else await backlog.leads(connection, _MOST_ROWS_COUNTED)
                pause = None if missing else await pauses.current(connection)
    except (*DATABASE_UNAVAILABLE, asyncpg.PostgresError):
        raise Problem(503, "Postgres cannot be reached.", headers={"Retry-After": "2"}) from None
    if missing:
        raise Problem(503, f"The database schema is not up to date: {missing}. Run `alembic upgrade head`.")
    paused_s = (datetime.now(UTC) - pause.paused_at).total_seconds() if pause else 0.0
    log.info("inbox_measured", oldest_s=round(waited_s, 3), waiting=waiting, paused_s=paused_s)
    degraded = await asyncio.to_thread(health.degraded, state.settings, waited_s)
    if pause:
        degraded.append(f"paused: {pause.message()}")
    if refusing := state.backpressure.level().message():
        degraded.append(f"backpressure: {refusing}")
    return json_response({"status": "degraded" if degraded else "ok", "degraded": degraded})


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
    refused = {"rate": state.limiter.refused, **state.backpressure.refused}
    registry = registry_with(figures, state.notifier.failures, refused)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
