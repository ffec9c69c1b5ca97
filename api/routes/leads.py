"""Leads: accepting them, and reading what became of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, problem_detail, sees_people
from api.body import JSON_TYPES, content_type, read_body
from api.ids import customer_id_of, partner_id_of, possible_lead_ids, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem, without_frames
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import DayOrInstant, IdPath, QueryId, QueryText, UuidPath
from api.schemas.leads import LeadsIn, leads_from_body
from api.schemas.openapi import LEADS_BODY
from api.schemas.verdicts import lead_out_from_lead, lead_out_from_view, lead_summary_out
from api.state import State, state_of
from api.traffic.concurrency import LARGE_BYTES
from api.wire import instant_out, json_response
from billing.actions import Outcome
from billing.leads import Lead
from db.core.engine import transaction
from db.core.row_keys import partner_uuid, product_uuid
from db.intake import batch_partners, dead_letters, inbox, quarantine, request_status
from db.intake.batch_ids import new_batch_id
from db.intake.inbox import Accepted
from db.intake.request_status import RequestStatus
from db.masters import products
from db.reports import leads_on_record
from db.reports.dry_run_leads import TriedLead, try_leads

router = APIRouter(route_class=Route, tags=["leads"])
_READ = requires(Permission.READ, within_partner=True)
_INGEST = Permission.INGEST  # looked up once, because that takes as long as the check
_SHOWN = 100
"""Problems and possible corrections in the answer about a batch; the others have lists of their own."""
MOST_LEADS_OF_DRY_RUN = inbox.CHUNK_LEADS
MOST_ACTIONS_OF_DRY_RUN = 5_000
_NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_FAULT = "A fault kept it from being decided; see the dead letters."
_TYPES = {"", *JSON_TYPES, *_NDJSON_TYPES}


@router.post(
    "/leads",
    status_code=202,
    dependencies=[requires(_INGEST, within_partner=True)],
    openapi_extra=LEADS_BODY,
    response_model=answers.Accepted,
    responses={200: {"model": answers.DryRun, "description": "The verdicts of a dry run; nothing was stored."}},
)
async def post_leads(
    request: Request,
    partial: Annotated[bool, Query(description="accept the good leads even if others are refused")] = False,
    dry_run: Annotated[
        bool, Query(description="answer the verdicts and store nothing; needs the scope `read` too")
    ] = False,
) -> Response:
    """Accept one lead, a list of leads, or one lead per line. 202 means: stored durably, whatever happens next (R2)."""
    caller = caller_of(request)
    caller.check(_INGEST, within_partner=True)  # the fast path calls this function without the dependencies
    if dry_run:
        caller.check(Permission.READ, within_partner=True)  # verdicts tell who the customer is and what is on record
    state = state_of(request)
    now = datetime.now(UTC)
    read = await _read(request, state, now)
    if read.errors and not (partial and read.leads):
        raise _refusal(read)
    rejected = [error.to_wire() for error in read.errors]
    if caller.partner_id:
        await _require_own_products(state, caller.partner_id, read.leads)
    if dry_run:
        if len(read.leads) > MOST_LEADS_OF_DRY_RUN:
            raise Problem(
                413, f"A dry run takes {MOST_LEADS_OF_DRY_RUN} leads at most; this one holds {len(read.leads)}."
            )
        actions = sum(len(lead.actions) for lead in read.leads)
        if actions > MOST_ACTIONS_OF_DRY_RUN:
            raise Problem(
                413, f"A dry run takes {MOST_ACTIONS_OF_DRY_RUN} actions at most; these leads hold {actions}."
            )
        return await state.dry_runs.run(lambda engine: _dry_run(request, engine, read.leads, now, rejected))
    batch_id = await accept(request, read.leads, now)
    status_url = f"/leads/batches/{batch_id}"
    content: dict[str, Any] = {"batch_id": batch_id, "accepted": len(read.leads), "status_url": status_url}
    if partial:
        content["rejected"] = rejected
    return json_response(content, 202, {"Location": status_url})


async def accept(request: Request, leads: Sequence[Lead], now: datetime) -> UUID:
    """Store leads durably (R2) and return the id of their batch; Problem 429 while the inbox has no room for them."""
    state = state_of(request)
    state.backpressure.reserve(caller_of(request), len(leads))
    batch_id = new_batch_id()
    await state.inbox.write(Accepted(batch_id, request.scope["request_id"], now, leads))
    return batch_id


@router.get("/leads/batches", dependencies=[_READ], response_model=answers.Page[answers.BatchCounts])
async def list_batches(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """The requests that were accepted, newest first, each with what became of its leads, in numbers."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        page = await request_status.page(connection, before=place_from_cursor(after, int), limit=limit)
        last = page[-1][0] if len(page) == limit else None
        if within := own_partner(request):
            page, looked_at = await batch_partners.of_partner(connection, page, within)
            last = looked_at or last
    following = cursor_from_place(last) if last else None
    return json_response({"items": [_batch_out(batch) for _, batch in page], "next": following})


@router.get("/leads/batches/{batch_id}", dependencies=[_READ], response_model=answers.Batch)
async def get_batch(request: Request, batch_id: UuidPath) -> Response:
    """What became of the leads of one request; `waiting` until all are decided."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        status = await _found_batch(request, connection, batch_id)
        problems = await request_status.problems(connection, batch_id, after=None, limit=_SHOWN + 1)
        corrections = await request_status.possible_corrections(connection, batch_id, after=None, limit=_SHOWN + 1)
    return json_response(
        _batch_out(status)
        | {
            "problems": _problems_out(request, problems[:_SHOWN]),
            "problems_next": _problems_next(problems, _SHOWN),
            "possible_corrections": corrections[:_SHOWN],
            "possible_corrections_next": _corrections_next(corrections, _SHOWN),
        }
    )


@router.get(
    "/leads/batches/{batch_id}/problems", dependencies=[_READ], response_model=answers.Page[answers.LeadProblem]
)
async def list_batch_problems(
    request: Request, batch_id: UuidPath, limit: Limit = 100, after: After = None
) -> Response:
    """Why leads of one request were quarantined, by their index."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await _found_batch(request, connection, batch_id)
        place = place_from_cursor(after, int)
        problems = await request_status.problems(connection, batch_id, after=place, limit=limit + 1)
    return json_response({"items": _problems_out(request, problems[:limit]), "next": _problems_next(problems, limit)})


@router.get(
    "/leads/batches/{batch_id}/possible-corrections",
    dependencies=[_READ],
    response_model=answers.Page[answers.PossibleCorrection],
)
async def list_possible_corrections(
    request: Request, batch_id: UuidPath, limit: Limit = 100, after: After = None
) -> Response:
    """Actions of known leads that differ from stored ones in level or type only; `correct` an action if it was wrong.

    Of 500 leads of a request at most 1,000 are named; `possible_correction_count` of the batch counts all.
    """
    async with transaction(state_of(request).engine, readonly=True) as connection:
        await _found_batch(request, connection, batch_id)
        place = place_from_cursor(after, tuple[int, UUID])
        corrections = await request_status.possible_corrections(connection, batch_id, after=place, limit=limit + 1)
    return json_response({"items": corrections[:limit], "next": _corrections_next(corrections, limit)})


async def _found_batch(request: Request, connection: asyncpg.Connection, batch_id: UUID) -> RequestStatus:
    status = await request_status.status(connection, batch_id)
    within = own_partner(request)
    if status is None or (within and not await batch_partners.holds_only(connection, batch_id, within)):
        raise Problem(404, f"There is no batch {batch_id}.")
    return status


def _problems_out(request: Request, problems: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each | {"detail": problem_detail(request, each["reason"], each["detail"])} for each in problems]


def _problems_next(problems: Sequence[dict[str, Any]], limit: int) -> str | None:
    return cursor_from_place(problems[limit - 1]["index"]) if len(problems) > limit else None


def _corrections_next(corrections: Sequence[dict[str, Any]], limit: int) -> str | None:
    if len(corrections) <= limit:
        return None
    last = corrections[limit - 1]
    return cursor_from_place((last["index"], last["action_id"]))


@router.get("/leads", dependencies=[_READ], response_model=answers.Page[answers.LeadSummary | answers.Lead])
async def list_leads(
    request: Request,
    lead_id: Annotated[
        QueryId | None, Query(description="this lead alone, as GET /leads/{lead_id} tells of it")
    ] = None,
    source: Annotated[QueryId | None, Query(description="with lead_id: the source the lead was sent with")] = None,
    customer: QueryId | None = None,
    partner: QueryId | None = None,
    product: QueryId | None = None,
    lead_type: QueryText | None = None,
    outcome: Annotated[Outcome | None, Query(description="leads with such an action")] = None,
    start_date: Annotated[DayOrInstant | None, Query(description="created at or after; a day begins in UTC")] = None,
    end_date: Annotated[DayOrInstant | None, Query(description="created before")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Decided leads with their totals, newest first.

    By product, lead type and outcome a page looks through the next 2,000 leads at most, of the customer or the partner:
    it may hold fewer than `limit`, even none, and yet have a `next`; only `next: null` is the end. With `lead_id` it is
    that lead or none, whatever its state: so is every id found, also one that is a word of a path, like `batches`.
    """
    if lead_id or source:
        _refuse_beside_lead_id(request)
        found = await _find_lead(request, source or "", lead_id or "")
        return json_response({"items": [found] if found else [], "next": None})
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        only = leads_on_record.LeadFilter(
            customer_id=await customer_id_of(connection, customer, within=within) if customer else None,
            partner_id=await partner_id_of(connection, partner, within=within) if partner else within,
            product_id=await product_id_of(connection, product, within=within) if product else None,
            lead_type=lead_type,
            outcome=outcome,
            start=start_date,
            end=end_date,
        )
        before = place_from_cursor(after, tuple[datetime, UUID])
        page = await leads_on_record.page(connection, only, before=before, limit=limit, people=within is None)
    return json_response(
        {
            "items": [lead_summary_out(*each, people=within is None) for each in page.leads],
            "next": cursor_from_place(page.next) if page.next else None,
        }
    )


@router.get("/leads/{lead_id:path}", dependencies=[_READ], response_model=answers.Lead)
async def get_lead(
    request: Request,
    lead_id: IdPath,
    source: Annotated[QueryId | None, Query(description="the source the lead was sent with")] = None,
) -> Response:
    """A lead with the verdict of every action and the reason for it."""
    found = await _find_lead(request, source or "", lead_id)
    if found is None:
        raise Problem(404, f"There is no lead {lead_id!r}.")
    return json_response(found)


async def _find_lead(request: Request, source: str, lead_id: str) -> dict[str, Any] | None:
    """A lead that the caller may see, wherever it is: on record, waiting, in quarantine or among the dead letters.

    What waits is looked through only for a lead that is not on record. It may have been decided meanwhile, so a later
    snapshot tells where it is.
    """
    state, row_ids = state_of(request), possible_lead_ids(source, lead_id)
    within = own_partner(request)
    async with transaction(state.engine, readonly=True) as connection:
        for row_id in row_ids:
            if found := await _found_on_record(request, connection, row_id):
                return found
    waiting = await state.waiting_leads.find(row_ids)
    async with transaction(state.engine, readonly=True) as connection:
        for row_id in row_ids:
            if found := await _found_on_record(request, connection, row_id):
                return found
            if row_id in waiting and await _is_visible(request, connection, waiting[row_id]):
                return lead_out_from_lead(waiting[row_id], "waiting")
            quarantined = await quarantine.find_lead(connection, row_id, partner_id=within)
            if quarantined and quarantined.state == "discarded":
                problem = {"reason": "discarded", "detail": quarantined.left_because}
                return lead_out_from_lead(quarantined.lead, "discarded") | {"problem": problem}
            if quarantined:
                return _quarantined_out(request, quarantined.lead, quarantined.reason, quarantined.detail)
            dead = await dead_letters.find_lead(connection, row_id)
            if dead and await _is_visible(request, connection, dead):
                return _quarantined_out(request, dead, "fault", _FAULT)
    return None


async def _found_on_record(request: Request, connection: asyncpg.Connection, row_id: UUID) -> dict[str, Any] | None:
    view = await leads_on_record.view(connection, row_id, people=sees_people(request))
    if view is None or own_partner(request) not in (None, partner_uuid(view.lead.partner)):
        return None
    return lead_out_from_view(view, people=sees_people(request))


async def _is_visible(request: Request, connection: asyncpg.Connection, lead: Lead) -> bool:
    """Whether an undecided lead is for a product of the partner that the caller is bound to, if it is to one."""
    within, product_id = own_partner(request), product_uuid(lead.product)
    return within is None or (await products.partners_of(connection, [product_id])).get(product_id) == within


async def _require_own_products(state: State, partner_id: UUID, leads: Sequence[Lead]) -> None:
    """Problem 400 for products that the partner does not have, whether they are another's or nobody's.

    They are not quarantined like other unknown products: whoever created one later would be billed.
    """
    wanted = {product_uuid(lead.product): lead.product for lead in leads}
    async with transaction(state.engine, readonly=True) as connection:
        known = await products.partners_of(connection, wanted)
    unknown = sorted(text for row_id, text in wanted.items() if known.get(row_id) != partner_id)
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        detail = f"Nothing was accepted: no product {unknown[0]!r} is known to the partner of this key{more}."
        raise Problem(400, detail, [FieldError("#", f"names the unknown product {text!r}") for text in unknown])


async def _dry_run(
    request: Request, engine: AsyncEngine, leads: Sequence[Lead], now: datetime, rejected: list[Any]
) -> Response:
    async with transaction(engine, readonly=True) as connection:
        tried = [_tried_out(request, each) for each in await try_leads(connection, leads, now)]
    return json_response({"dry_run": True, "leads": tried, "rejected": rejected}, 200)


def _refuse_beside_lead_id(request: Request) -> None:
    """Problem 400 for a source without a lead, and for conditions beside a lead, which would be ignored."""
    given = request.query_params.keys()
    errors = [FieldError(f"query:{name}", "cannot be combined with lead_id") for name in given - {"lead_id", "source"}]
    if "lead_id" not in given:
        errors = [FieldError("query:source", "needs lead_id beside it")]
    if errors:
        errors.sort(key=lambda error: error.pointer)
        raise Problem(400, f"{errors[0].pointer} {errors[0].detail}.", errors)


async def _read(request: Request, state: State, now: datetime) -> LeadsIn:
    kind = content_type(request, _TYPES)
    # A large or packed body was read before the request had its turn, see `api.traffic.admission`.
    scope, most_bytes = request.scope, state.settings.max_body_bytes
    body = scope.pop("body") if "body" in scope else await read_body(request, most_bytes)
    is_large = len(body) >= LARGE_BYTES
    reading = partial(
        leads_from_body,
        body,
        ndjson=kind in _NDJSON_TYPES,
        now=now,
        most_leads=state.settings.max_batch_leads,
        most_actions=state.settings.max_lead_actions,
    )
    del body
    try:
        if not is_large:
            state.leads_first.come()
            return reading()
        # A large body is read in a thread, so that other requests go on meanwhile.
        return await asyncio.to_thread(reading, rest=state.leads_first.rests())
    except Problem as problem:
        del reading
        raise without_frames(problem) from None


def _refusal(read: LeadsIn) -> Problem:
    first: FieldError = read.errors[0]
    more = f", and {len(read.errors) - 1} more" if len(read.errors) > 1 else ""
    return Problem(400, f"Nothing was accepted: {first.pointer} {first.detail}{more}.", read.errors)


def _tried_out(request: Request, tried: TriedLead) -> dict[str, Any]:
    if not tried.view:
        return _quarantined_out(request, tried.lead, tried.problem, tried.detail)
    out = lead_out_from_view(tried.view, people=sees_people(request))
    # A bound caller is not told who the person is to others: the id is the one that it sent.
    return out if sees_people(request) else out | {"customer": {"external_id": tried.lead.customer}}


def _quarantined_out(request: Request, lead: Lead, reason: str | None, detail: str) -> dict[str, Any]:
    problem = {"reason": reason, "detail": problem_detail(request, reason, detail)}
    return lead_out_from_lead(lead, "quarantined") | {"problem": problem}


def _batch_out(status: RequestStatus) -> dict[str, Any]:
    return {
        "batch_id": status.batch_id,
        "state": status.state,
        "received_at": instant_out(status.received_at),
        "done_at": instant_out(status.done_at),
        "accepted": status.accepted,
        "leads": status.leads,
        "actions": status.actions,
        "possible_correction_count": status.possible_correction_count,
    }
