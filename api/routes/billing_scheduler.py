"""The billing scheduler: runs of the monthly billing, started by people, machines and GitHub (M1 to M3)."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.github_signature import FOR_GITHUB, signed_body
from api.access.permissions import Permission, requires
from api.body import JSON_TYPES, content_type
from api.github import dispatch_from_delivery, payload_of
from api.headers import header
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath, PeriodQuery, UuidText
from api.schemas.runs import DifferenceIn, RetryRunsIn, RunIn, ShopRunIn, dead_letter_out, started_out
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from billing.periods import period_from_text, text_from_period
from db.core.actor import SYSTEM
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.runs import differences, pre_close, records, scheduler, starting
from db.runs.records import Asked, Item
from db.runs.wire import runs_out

router = APIRouter(route_class=Route, prefix="/api/billing-scheduler", tags=["billing scheduler"])
_READ = requires(Permission.READ)
_BILL = requires(Permission.BILL)

_CLI = "cli"
"""What the command line says to be: the trigger of its runs, too."""

_FORM = "application/x-www-form-urlencoded"
_RUNS_SHOWN = 20
RESULTS_AT_ONCE = 1_000
_LONGEST_DELIVERY_ID = 200


@router.post("/process-monthly-billing", status_code=202, dependencies=[_BILL], response_model=answers.RunStarted)
async def process_monthly_billing(request: Request, body: RunIn) -> Response:
    """Bill a month of all partners or some, by default last month, and what of the months before has no bill."""
    return _started(await started_run(request, body))


async def started_run(request: Request, body: RunIn) -> dict[str, Any]:
    """Start a run; what the API answers of it."""
    async with unit_of_work(request) as uow:
        asked = Asked(
            _CLI if body.trigger_source == _CLI else "api",
            period=body.period,
            partner_ids=await _partner_ids(uow.connection, body.shop_ids),
            dry_run=body.dry_run,
            source=body.trigger_source,
        )
        return await _start(request, uow, asked)


@router.post(
    "/process-shop-billing/{shop_id:path}", status_code=202, dependencies=[_BILL], response_model=answers.RunStarted
)
async def process_shop_billing(request: Request, shop_id: IdPath, body: ShopRunIn) -> Response:
    """Bill a month of one partner, by default last month, and what of the months before has no bill."""
    async with unit_of_work(request) as uow:
        partner_ids = await _partner_ids(uow.connection, [shop_id])
        asked = Asked("api", period=body.period, partner_ids=partner_ids, dry_run=body.dry_run)
        started = await _start(request, uow, asked)
    return _started(started)


@router.post("/github-webhook", status_code=202, dependencies=[FOR_GITHUB], response_model=answers.RunStarted)
async def github_webhook(request: Request) -> Response:
    """A delivery of GitHub's webhook, signed with GITHUB_WEBHOOK_SECRET; sent again it starts nothing more.

    Pushes and ended workflows ask for a dry run of last month, dispatches for what their inputs say. Everything else,
    and other repositories and branches, is 202 and ignored.
    """
    settings = state_of(request).settings
    kind = content_type(request, JSON_TYPES | {_FORM})
    delivery = header(request.scope, b"x-github-delivery")
    if not 0 < len(delivery) <= _LONGEST_DELIVERY_ID:
        raise Problem(400, "X-GitHub-Delivery is missing, by which a delivery is known that comes again.")
    event, payload = header(request.scope, b"x-github-event"), payload_of(signed_body(request), kind == _FORM)
    dispatch = dispatch_from_delivery(event, payload, settings.github_repository, settings.github_branch)
    if isinstance(dispatch, str):
        return json_response({"run_id": None, "status_url": None, "task_id": None, "ignored": dispatch}, 202)
    async with unit_of_work(request, SYSTEM) as uow:
        asked = Asked(
            "github",
            period=dispatch.period,
            partner_ids=await _partner_ids(uow.connection, dispatch.shop_ids),
            dry_run=dispatch.dry_run,
            source=dispatch.source,
            key=f"github {delivery}",
            commit=dispatch.commit,
        )
        started = await _start(request, uow, asked)
    return _started(started)


@router.get("/status", dependencies=[_READ], response_model=answers.SchedulerStatus)
async def get_scheduler_status(
    request: Request,
    run: Annotated[UuidText | None, Query(description="only this one, with its results")] = None,
    after: After = None,
) -> Response:
    """How runs are getting on: the last ones, or one with what became of partners' periods, a thousand at a time."""
    settings, now = state_of(request).settings, datetime.now(UTC)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        results: list[Item] = []
        if run is None:
            runs = await records.newest(connection, _RUNS_SHOWN)
        elif named := await records.read(connection, run):
            runs, place = [named], place_from_cursor(after, tuple[str, int])
            results = await records.items(connection, named.id, after=place, limit=RESULTS_AT_ONCE)
        else:
            raise Problem(404, f"There is no run {run}.")
        shown = await runs_out(connection, runs, results)
        last = await scheduler.last_look(connection)
    next_run_at = None
    if settings.billing_scheduler_enabled:
        next_run_at = max(last + timedelta(seconds=settings.billing_interval_s), now) if last else now
    return json_response(
        {
            "enabled": settings.billing_scheduler_enabled,
            "next_run_at": instant_out(next_run_at),
            "runs": shown,
            "next": cursor_from_place(results[-1].place) if len(results) == RESULTS_AT_ONCE else None,
        }
    )


@router.get("/health", dependencies=[_READ], response_model=answers.SchedulerHealth)
async def get_scheduler_health(request: Request) -> Response:
    """Whether months are billed as they should be, and what is not as it should be."""
    settings = state_of(request).settings
    async with transaction(state_of(request).engine, readonly=True) as connection:
        enabled_at = await scheduler.enabled_at(connection)
        last = await scheduler.last_look(connection)
        dead_letters = await starting.count_dead_letters(connection)
    degraded = []
    if dead_letters:
        degraded.append(f"{dead_letters} dead letters wait for a person: GET /api/billing-scheduler/dead-letters")
    late = timedelta(seconds=2 * settings.billing_interval_s + 60)
    if settings.billing_scheduler_enabled and (last is None or datetime.now(UTC) - last > late):
        degraded.append("Beat or the background workers are away: nobody has looked for ended months lately")
    return json_response(
        {
            "status": "degraded" if degraded else "ok",
            "enabled": settings.billing_scheduler_enabled,
            "enabled_at": instant_out(enabled_at),
            "dead_letters": dead_letters,
            "degraded": degraded,
        }
    )


@router.get("/dead-letters", dependencies=[_READ], response_model=answers.Page[answers.RunDeadLetter])
async def list_run_dead_letters(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """The periods of partners that failed three times and have no bill yet, the newest first."""
    before = place_from_cursor(after, tuple[datetime, UUID])
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await starting.dead_letters(connection, before=before, limit=limit)
    following = None
    if len(found) == limit and found[-1].finished_at:
        following = cursor_from_place((found[-1].finished_at, found[-1].id))
    return json_response({"items": [dead_letter_out(each) for each in found], "next": following})


@router.post("/retry", status_code=202, dependencies=[_BILL], response_model=answers.RunsRetried)
async def retry_run_dead_letters(request: Request, body: RetryRunsIn) -> Response:
    """Bill dead letters again, and the later months of their partners that wait behind them."""
    async with unit_of_work(request) as uow:
        return json_response({"runs": await starting.retry(uow, body.ids)}, 202)


@router.get("/pre-close", dependencies=[_READ], response_model=answers.PreClose)
async def list_pre_close(
    request: Request, period: PeriodQuery = None, limit: Limit = 50, after: After = None
) -> Response:
    """What to look at before a month closes, by default last month: a page of partners, and what concerns everybody."""
    month = period_from_text(period) if period else starting.last_month(datetime.now(UTC))
    async with transaction(state_of(request).engine, readonly=True) as connection:
        place = place_from_cursor(after, str) or ""
        found, of_everybody = await pre_close.page(connection, month, after=place, limit=limit)
    following = cursor_from_place(found[-1].partner) if len(found) == limit else None
    items = [asdict(each) | {"is_fine": each.is_fine} for each in found]
    shown = {"period": text_from_period(month), "of_everybody": asdict(of_everybody), "items": items}
    return json_response(shown | {"next": following})


@router.post("/difference", status_code=202, dependencies=[_READ], response_model=answers.TaskStarted)
async def explain_difference(request: Request, body: DifferenceIn) -> Response:
    """Say why a partner's month differs from the month before, with causes that add up; the task's result has them."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        return task_started(await differences.start(uow, partner_id, body.period))


async def _partner_ids(
    connection: asyncpg.Connection, shop_ids: list[str] | tuple[str, ...] | None
) -> list[UUID] | None:
    return None if shop_ids is None else [await partner_id_of(connection, each) for each in shop_ids]


async def _start(request: Request, uow: UnitOfWork, asked: Asked) -> dict[str, Any]:
    run_id = await starting.request(uow, state_of(request).policies, asked, datetime.now(UTC))
    return started_out(run_id, await records.task_of(uow.connection, run_id))


def _started(content: dict[str, Any]) -> Response:
    return json_response(content, 202, {"Location": content["status_url"]})
