"""The API application: `create_app` is the root of an API process and fits on one screen."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from api import docs, problem_answers
from api.access.authentication import AuthenticationMiddleware
from api.access.caller_cache import CallerCache
from api.access.callers import find_key, find_session
from api.access.valid_secrets import ValidSecrets
from api.fast_path import FastPathMiddleware
from api.head import HeadMiddleware
from api.memory import Memory
from api.pages import all_pages
from api.readiness import Readiness
from api.request_context import RequestContextMiddleware
from api.request_spans import TracingMiddleware
from api.routes import (
    actions,
    adjustments,
    attribution,
    audit,
    billing_scheduler,
    bills,
    credit_notes,
    customers,
    fraud,
    held,
    keys,
    leads,
    ledger,
    mail,
    opening_items,
    operations,
    partners,
    password,
    payments,
    periods,
    products,
    quarantine,
    rate_cards,
    reconciliations,
    refunds,
    reminders,
    reports,
    returns,
    seller,
    session,
    statements,
    tasks,
    usage,
    users,
    webhooks,
    what_if,
    workers,
    write_offs,
)
from api.schemas import openapi
from api.shared import Shared
from api.side_thread import TURN_S, SideThread
from api.state import State
from api.traffic.admission import AdmissionMiddleware
from api.traffic.backpressure import Backpressure
from api.traffic.body_budget import BodyBudget
from api.traffic.body_deadlines import BodyDeadlines
from api.traffic.concurrency import ConcurrencyLimit
from api.traffic.downloads import Downloads
from api.traffic.leads_first import LeadsFirst
from api.traffic.rate_limit import RateLimiter
from api.traffic.sign_ins import SignIns
from api.traffic.streams import Streams
from api.traffic.unknown_keys import UnknownKeys
from db.access import api_keys, sessions
from db.core.engine import create_engine
from db.core.garbage_collector import OF_THE_DOOR, tune_garbage_collector
from db.core.settings import Settings
from db.core.version import version
from db.intake.group_commit import InboxWriter
from db.intake.partitions import PartitionStarts
from db.intake.waiting_leads import WaitingLeads
from db.ledger.policies import Policies
from db.tasks.notifications import Notifier
from db.telemetry import tracing
from db.telemetry.logs import configure_logging
from db.telemetry.traced_connection import connection_class

_ACCEPTING_CONNECTIONS = 3
"""One commits, one looks keys up, one measures what waits and whether all is well."""

_DRY_RUNS = 2
"""So many at a time, on connections of their own."""

_READING_CONNECTION_S = 60
"""So long at most, after a failover, answers come from a server that was replaced and still runs."""

_LIVE_S = 1.0
"""So long figures are shown live before they are read again."""

LOCK_TIMEOUT_S = 5
"""A request that waits longer for a lock is answered 503, so that its connection serves others."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; connections are made when it starts, not here."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging(settings.log_level)
        tracing.start("leadger-api")
        tune_garbage_collector(OF_THE_DOOR)
        sys.setswitchinterval(TURN_S)
        connect = partial(create_engine, settings, "leadger-api", connection_class=connection_class())
        half = max(settings.database_pool_size // 2, 1)
        engine = connect(half, lock_timeout_s=LOCK_TIMEOUT_S)
        # Leads are accepted on connections that nothing else uses, however many requests wait for locks or read; and
        # who reads has a thread too, because making a long answer would hold up everybody on this one.
        accepting = connect(_ACCEPTING_CONNECTIONS)
        reading = SideThread("reading", connect(half, lock_timeout_s=LOCK_TIMEOUT_S, most_age_s=_READING_CONNECTION_S))
        dry_runs = SideThread("dry-runs", connect(_DRY_RUNS, most_age_s=_READING_CONNECTION_S))
        notifier = Notifier(settings)
        starts = PartitionStarts()
        backpressure = Backpressure(accepting, settings, starts)
        inbox = InboxWriter(accepting, notifier.announce_leads)
        unknown_keys = UnknownKeys()
        sign_ins = SignIns()
        body_deadlines = BodyDeadlines(settings.body_timeout_s)
        app.state.leadger = State(
            settings=settings,
            engine=engine,
            notifier=notifier,
            inbox=inbox,
            waiting_leads=WaitingLeads(reading.engine),
            policies=Policies(),
            keys=CallerCache(accepting, unknown_keys, find_key, ValidSecrets(accepting, api_keys.valid_hashes)),
            sessions=CallerCache(engine, unknown_keys, find_session, ValidSecrets(engine, sessions.valid_hashes)),
            sign_ins=sign_ins,
            limiter=RateLimiter(settings.rate_limit_per_s),
            backpressure=backpressure,
            body_budget=BodyBudget(settings.max_body_bytes),
            body_deadlines=body_deadlines,
            concurrency=ConcurrencyLimit(),
            leads_first=LeadsFirst(),
            memory=Memory(),
            readiness=Readiness(accepting, settings, backpressure, inbox, starts),
            reading=reading,
            dry_runs=dry_runs,
            downloads=Downloads(settings.home, reading, max(half // 2, 1), settings.answer_timeout_s),
            streams=Streams(),
            health=Shared(_LIVE_S),
            days={},
        )
        async with backpressure.measuring(), body_deadlines.watching():
            yield
        notifier.close()
        sign_ins.close()
        await reading.close()
        await dry_runs.close()
        await engine.dispose()
        await accepting.dispose()
        tracing.stop()

    app = FastAPI(
        title="Leadger",
        version=version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name the host that the caller names
        # With it FastAPI would look for OpenTelemetry at every request; `TracingMiddleware` makes our spans.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(HeadMiddleware)  # innermost: the fast path does not pass it
    app.add_middleware(FastPathMiddleware)
    app.add_middleware(AdmissionMiddleware)
    app.add_middleware(AuthenticationMiddleware)
    writes_access_log = settings.access_log and settings.log_level in {"DEBUG", "INFO"}
    app.add_middleware(
        RequestContextMiddleware, answer_timeout_s=settings.answer_timeout_s, writes_access_log=writes_access_log
    )
    if tracing.is_configured():
        app.add_middleware(TracingMiddleware)
    problem_answers.install(app)
    docs.install(app)
    openapi.install(app)
    for area in (
        leads,
        reports,
        reconciliations,
        periods,  # before the partners, whose ids may contain slashes
        statements,
        partners,
        products,
        customers,
        rate_cards,
        what_if,
        bills,
        billing_scheduler,
        adjustments,
        payments,
        refunds,
        opening_items,
        write_offs,
        credit_notes,
        mail,
        reminders,
        returns,
        ledger,
        seller,
        usage,
        attribution,
        fraud,
        held,
        actions,
        tasks,
        quarantine,
        workers,
        users,
        session,
        password,
        keys,
        webhooks,
        audit,
        operations,
    ):
        app.include_router(area.router)
    all_pages.install(app)
    return app
