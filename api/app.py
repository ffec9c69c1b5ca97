"""The front door: `create_app` is the root of an API process and fits on one screen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import docs, problems
from api.auth import Gate, KeyRing
from api.limits import RateLimiter
from api.requests import RequestContext
from api.routes import (
    actions,
    customers,
    keys,
    leads,
    operations,
    partners,
    periods,
    products,
    quarantine,
    rate_cards,
    reports,
    tasks,
)
from api.schemas import openapi
from api.state import State
from db.doorbell import PROCESS_LEADS, Doorbell
from db.engine import create_engine
from db.garbage import collect_rarely
from db.inbox_writer import InboxWriter
from db.logs import configure_logging
from db.policies import Policies
from db.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; connections are made when it starts, not here."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging(settings.log_level)
        collect_rarely()
        engine = create_engine(settings, "leadger-api")
        doorbell = Doorbell(settings)
        app.state.leadger = State(
            settings=settings,
            engine=engine,
            doorbell=doorbell,
            inbox=InboxWriter(engine, lambda request_id: doorbell.ring(PROCESS_LEADS, request_id=request_id)),
            policies=Policies(),
            keys=KeyRing(engine),
            limiter=RateLimiter(settings.rate_limit_per_s),
            downloads=asyncio.Semaphore(max(settings.database_pool_size // 2, 1)),
        )
        yield
        doorbell.close()
        await engine.dispose()

    app = FastAPI(
        title="Leadger",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(Gate)
    app.add_middleware(RequestContext)
    problems.install(app)
    docs.install(app)
    openapi.install(app)
    for area in (
        leads,
        reports,
        periods,  # before the partners, whose ids may contain slashes
        partners,
        products,
        customers,
        rate_cards,
        actions,
        tasks,
        quarantine,
        keys,
        operations,
    ):
        app.include_router(area.router)
    return app
