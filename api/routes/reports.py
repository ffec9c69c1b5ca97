"""Billing reports: live, as files, and rebuilt."""

from collections.abc import AsyncGenerator
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, sees_people
from api.ids import cursor_after, customer_before, customer_id_of, partner_id_of
from api.negotiation import accepted
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Day, Id, Period, PeriodQuery, QueryId, UuidPath
from api.schemas.reports import customer_out, report_out, version_out
from api.state import State, state_of, unit_of_work
from api.wire import json_response
from billing.periods import FIRST_PERIOD, LAST_PERIOD, period_from_text, text_from_period
from db.core.engine import transaction
from db.ledger import rebuild
from db.reports import csv_format, live_report, pdf_format, report_customers, report_files, report_versions
from db.reports.formats import FORMATS, blocks
from db.reports.live_report import Report

router = APIRouter(route_class=Route, prefix="/billing/reports", tags=["reports"])
_READ = requires(Permission.READ, within_partner=True)
_CUSTOMERS_SHOWN = 100
MOST_PARTS = 2_000
"""Customers and products in one page of reports; the report that passes it is the last one."""
_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "md": "text/markdown", "pdf": "application/pdf"}
_KINDS = {media_type: kind for kind, media_type in _MEDIA_TYPES.items()}


class RebuildIn(Body):
    """Which report to rebuild."""

    partner: Id
    period: Period


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Report])
async def list_reports(
    request: Request,
    partner: QueryId | None = None,
    customer: Annotated[QueryId | None, Query(description="only this customer's part")] = None,
    period: PeriodQuery = None,
    start_date: Annotated[Day | None, Query(description="periods that end after this day begins")] = None,
    end_date: Annotated[Day | None, Query(description="periods that begin before this day")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Live reports, newest period first, each with its first 100 customers; `customers_next` says if there are more.

    A page ends with 2,000 customers and products, so it may hold fewer reports than `limit`; only `next: null` is the
    end.
    """
    first = last = period_from_text(period) if period else 0
    if not period:
        first = _month(start_date) if start_date else FIRST_PERIOD
        last = _month(end_date - timedelta(days=end_date > date.min)) if end_date else LAST_PERIOD
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        only = await customer_id_of(connection, customer, within=within) if customer else None
        page = await live_report.page(
            connection,
            partner_id=await partner_id_of(connection, partner, within=within) if partner else within,
            customer_id=only,
            first=first,
            last=last,
            after=place_from_cursor(after, tuple[int, UUID]),
            limit=limit,
        )
        items: list[dict[str, Any]] = []
        parts = 0
        while len(items) < len(page) and parts < MOST_PARTS:
            report = await live_report.read(connection, *page[len(items)])
            items.append(await _with_customers(request, connection, report, only))
            parts += len(items[-1]["customers"]) + len(items[-1]["products"])
    is_cut = len(items) < len(page) or len(page) == limit
    following = cursor_from_place(page[len(items) - 1][::-1]) if is_cut else None
    return json_response({"items": items, "next": following})


@router.post(
    "/rebuild",
    status_code=202,
    dependencies=[requires(Permission.BILL, within_partner=True)],
    response_model=answers.TaskStarted,
)
async def rebuild_report(request: Request, body: RebuildIn) -> Response:
    """Re-evaluate a report from the stored actions, correct what differs and say what did."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner, within=own_partner(request))
        task_id = await rebuild.start(uow, partner_id, body.period)
    return task_started(task_id)


@router.get(
    "/{report_id}",
    dependencies=[_READ],
    response_model=answers.Report | answers.ReportVersion,
    responses={200: {"content": {"text/csv": {}, "text/markdown": {}, "application/pdf": {}}}},
)
async def get_report(
    request: Request,
    report_id: UuidPath,
    kind: Annotated[
        Literal["json", "csv", "md", "pdf"] | None, Query(alias="format", description="default: as Accept asks")
    ] = None,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="a written version")] = None,
    totals: Annotated[
        bool, Query(description="CSV only: rows of totals below the others, which then no longer add up to them")
    ] = False,
) -> Response:
    """One report, live or as written, as JSON, CSV or Markdown; live also as PDF.

    In CSV the rows of each column of money add up to its total, and those of `net` to what is due. The PDF lists
    products and the first 200 customers.
    """
    state = state_of(request)
    chosen = kind or _accepted_kind(request)
    if totals and (version is not None or chosen != "csv"):
        errors = [FieldError("query:totals", "is for the CSV of a live report")]
        raise Problem(400, "Only the CSV of a live report comes with rows of totals.", errors)
    if version is not None and chosen == "pdf":
        errors = [FieldError("query:version", "has no PDF")]
        raise Problem(400, "Only a live report comes as PDF.", errors)
    if version is not None:
        return await _written(request, report_id, version, chosen)
    async with transaction(state.engine, readonly=True) as connection:
        partner_id, period = await _found(request, connection, report_id)
        report = await live_report.read(connection, partner_id, period)
        if chosen == "json":
            return json_response(await _with_customers(request, connection, report))
        if chosen == "pdf":
            most = pdf_format.MOST_CUSTOMERS + 1
            customers = await report_customers.page(
                connection, partner_id, period, limit=most, people=sees_people(request)
            )
    if chosen == "pdf":
        pdf = await run_in_threadpool(pdf_format.pdf_file, report, customers, people=sees_people(request))
        name = f"{text_from_period(period)}-{report_id}.pdf"
        return state.downloads.start(caller_of(request).id, iter([pdf]), _MEDIA_TYPES["pdf"], name)
    name = f"{text_from_period(period)}-{report_id}.{chosen}"
    text = _text(state, report, chosen, totals=totals, people=sees_people(request))
    return state.downloads.start(caller_of(request).id, state.downloads.buffered(text), _media_type(chosen), name)


@router.get("/{report_id}/customers", dependencies=[_READ], response_model=answers.Page[answers.CustomerPart])
async def list_report_customers(
    request: Request, report_id: UuidPath, limit: Limit = 100, after: After = None
) -> Response:
    """All customers of a report, page by page."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id, period = await _found(request, connection, report_id)
        page = await report_customers.page(
            connection,
            partner_id,
            period,
            after=await customer_before(connection, after, within=own_partner(request)),
            limit=limit,
            people=sees_people(request),
        )
    following = cursor_after(page[-1].external_id) if len(page) == limit else None
    return json_response(
        {"items": [customer_out(customer, people=sees_people(request)) for customer in page], "next": following}
    )


@router.get("/{report_id}/versions", dependencies=[_READ], response_model=answers.Page[answers.ReportVersion])
async def list_report_versions(
    request: Request, report_id: UuidPath, limit: Limit = 50, after: After = None
) -> Response:
    """The versions that were written of a report, newest first, with their files, page by page.

    Of an open month the last one of each day (UTC) stays, and all final ones do.
    """
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await _found(request, connection, report_id)
        before = place_from_cursor(after, int)
        written = await report_versions.read(connection, report_id, before=before, limit=limit)
    following = cursor_from_place(written[-1].version) if len(written) == limit else None
    return json_response(
        {"items": [version_out(version, people=sees_people(request)) for version in written], "next": following}
    )


def _accepted_kind(request: Request) -> str:
    media_type = accepted(",".join(request.headers.getlist("accept")), tuple(_KINDS))
    if media_type is None:
        raise Problem(406, f"A report comes as {', '.join(_KINDS)}; Accept asks for none of them.")
    return _KINDS[media_type]


async def _found(request: Request, connection: asyncpg.Connection, report_id: UUID) -> tuple[UUID, int]:
    found = await live_report.find(connection, report_id)
    if found is None or own_partner(request) not in (None, found[0]):
        raise Problem(404, f"There is no report {report_id}.")
    return found


async def _written(request: Request, report_id: UUID, version: int, kind: str) -> Response:
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        await _found(request, connection, report_id)
        written = await report_versions.read(connection, report_id, only=version)
    if not written:
        errors = [FieldError("query:version", "is not a version of this report")]
        raise Problem(404, f"There is no version {version} of report {report_id}.", errors)
    (found,) = written
    if kind == "json":
        return json_response(version_out(found, people=sees_people(request)))
    if not sees_people(request):
        raise Problem(
            404, "The files of a version name people; this key sees its figures, and the live report as a file."
        )
    url = next((file.url for file in found.files if file.format == kind), "")
    try:
        blocks = await run_in_threadpool(report_files.read_file, url)
    except FileNotFoundError:
        raise Problem(404, f"The {kind} file of version {version} is no longer in its folder.") from None
    return state.downloads.start(caller_of(request).id, blocks, _media_type(kind))


def _media_type(kind: str) -> str:
    return f"{_MEDIA_TYPES[kind]}; charset=utf-8"


async def _text(state: State, report: Report, kind: str, *, totals: bool, people: bool) -> AsyncGenerator[str, None]:
    """The text in blocks; its lines and totals are read in one transaction, so that they add up."""
    async with transaction(state.engine, readonly=True) as connection:
        report = await live_report.read(connection, report.partner_id, report.period)
        async for (block,) in blocks(connection, report, [FORMATS[kind]], people=people):
            yield block
        if totals:
            yield csv_format.totals(report)


async def _with_customers(
    request: Request, connection: asyncpg.Connection, report: Report, only: UUID | None = None
) -> dict[str, Any]:
    """A report with the first of its customers, and where the others begin; or with one customer only."""
    most = _CUSTOMERS_SHOWN
    people = sees_people(request)
    found = await report_customers.page(
        connection, report.partner_id, report.period, only=only, limit=most + 1, people=people
    )
    shown = found[:most]
    following = cursor_after(shown[-1].external_id) if len(found) > most else None
    return report_out(report, shown, following, people=people)


def _month(day: date) -> int:
    return max(day.year * 100 + day.month, FIRST_PERIOD)
