"""Returns by action, lead or CSV file: Finance returns, others ask, and Finance decides (B8)."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner, without_names
from api.body import JSON_TYPES, content_type
from api.ids import partner_id_of, possible_lead_ids
from api.json_or_csv import CSV_TYPES, csv_text, json_form
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import QueryId
from api.schemas.returns import (
    MOST_RETURNS,
    RETURNS_BODY,
    ReturnDecisionIn,
    ReturnsIn,
    return_out,
    returned_out,
    rows_of_returns,
)
from api.state import state_of, unit_of_work
from api.wire import json_response, list_response
from billing.bills.return_reasons import ReturnReason
from billing.csv_rows import CsvRow
from billing.errors import RuleViolation
from db.bills import return_records, returning
from db.bills.return_records import ReturnState
from db.bills.returning import Returned
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text
from db.core.unit_of_work import UnitOfWork
from db.ledger import reading

router = APIRouter(route_class=Route, prefix="/api/returns", tags=["bills"])

Named = tuple[str, list[UUID], bool, ReturnReason]
"""Where somebody named an action or a lead, the keys that this may be, whether it is a lead, and the reason."""


@router.post(
    "",
    dependencies=[requires(Permission.BILL, within_partner=True, or_else=Permission.READ)],
    openapi_extra=RETURNS_BODY,
    response_model=answers.Page[answers.ReturnedAction],
)
async def post_returns(request: Request) -> Response:
    """Return actions, all actions of leads, or the rows of a CSV file, each in a transaction of its own.

    Who may bill, and is not bound to a partner, returns; others ask, and Finance decides. Sent again it changes
    nothing. 404 without any effect if something named is not there.
    """
    return list_response([returned_out(each) for each in await returned(request, await _named(request))])


async def returned(request: Request, named: list[Named]) -> list[Returned]:
    """Return what is named, or ask for that if the caller may no more; the errors are those of `post_returns`."""
    within, now, policies = own_partner(request), datetime.now(UTC), state_of(request).policies
    async with transaction(state_of(request).engine, readonly=True) as connection:
        wanted = await _actions(connection, named, within)
    decide = returning.return_action if caller_of(request).may(Permission.BILL) else returning.ask

    async def one(uow: UnitOfWork, action_id: UUID) -> Returned:
        return await decide(uow, policies, action_id, wanted[action_id], now)

    return await _each(request, list(wanted), one)


def named_in_rows(rows: list[tuple[CsvRow, ReturnReason]]) -> list[Named]:
    """What a CSV file names."""
    return [_from_row(row, reason) for row, reason in rows]


@router.get(
    "", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Page[answers.Return]
)
async def list_returns(
    request: Request,
    state: Annotated[ReturnState | None, Query(description="only these")] = None,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Returns that were asked for or made, with the reason and what was decided, the newest first."""
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await return_records.page(
            connection,
            partner_id=await partner_id_of(connection, partner, within=within) if partner else within,
            state=state,
            before=place_from_cursor(after, tuple[datetime, UUID]),
            limit=limit,
        )
    following = cursor_from_place((found[-1].asked_at, found[-1].action_id)) if len(found) == limit else None
    shown = [without_names(request, return_out(each), "asked_by", "decided_by") for each in found]
    return json_response({"items": shown, "next": following})


@router.post("/decide", dependencies=[requires(Permission.BILL)], response_model=answers.Page[answers.ReturnedAction])
async def decide_returns(request: Request, body: ReturnDecisionIn) -> Response:
    """Accept or refuse returns that were asked for, each in a transaction of its own.

    `state` is where each stands afterwards: what cannot be returned any more stays as it was, and `detail` says why.
    404 for an action that nobody asked about.
    """
    now, policies = datetime.now(UTC), state_of(request).policies
    actions = list(dict.fromkeys(body.actions))
    async with transaction(state_of(request).engine, readonly=True) as connection:
        unknown = [
            FieldError(f"#/actions/{place}", "is not asked for")
            for place, action_id in enumerate(body.actions)
            if await return_records.read(connection, action_id) is None
        ]
    if unknown:
        raise Problem(404, "Nobody asked for some of these returns; nothing was decided.", unknown)

    async def one(uow: UnitOfWork, action_id: UUID) -> Returned:
        if body.decision == "accept":
            return await returning.accept(uow, policies, action_id, body.reason, now)
        return await returning.refuse(uow, action_id, body.reason, now)

    return list_response([returned_out(each) for each in await _each(request, actions, one)])


async def _each(
    request: Request, actions: list[UUID], one: Callable[[UnitOfWork, UUID], Awaitable[Returned]]
) -> list[Returned]:
    """What became of each action, in its own transaction."""
    results: list[Returned] = []
    for action_id in actions:
        try:
            async with unit_of_work(request) as uow:
                results.append(await one(uow, action_id))
        except RuleViolation as error:
            results.append(Returned(action_id, ReturnState.REFUSED, str(error)))
    return results


async def _named(request: Request) -> list[Named]:
    """What the body names; Problem 400 for a body that is wrong."""
    if content_type(request, JSON_TYPES | CSV_TYPES) in CSV_TYPES:
        return named_in_rows(await csv_text(request, rows_of_returns))
    body = await json_form(request, ReturnsIn)
    if body.actions is not None:
        return [(f"#/actions/{place}", [key], False, body.reason) for place, key in enumerate(body.actions)]
    return [
        (f"#/leads/{place}", possible_lead_ids(body.source or "", text), True, body.reason)
        for place, text in enumerate(body.leads or ())
    ]


def _from_row(row: CsvRow, reason: ReturnReason) -> Named:
    where, cells = f"line:{row.line}", row.cells
    if "lead_id" in cells:
        return where, possible_lead_ids(cells.get("source", ""), cells["lead_id"]), True, reason
    key = uuid_from_text(cells["action_id"])
    return where, [key] if key else [], False, reason


async def _actions(
    connection: asyncpg.Connection, named: list[Named], within: UUID | None
) -> Mapping[UUID, ReturnReason]:
    """The actions that are named, with the reason given first; of a partner if the caller is bound to one.

    Problem 404 that names what is not there, 413 for too many actions.
    """
    keys = [key for _, possible, _, _ in named for key in possible]
    found = await reading.actions_named(connection, keys, within)
    wanted: dict[UUID, ReturnReason] = {}
    unknown = []
    for where, possible, is_lead, reason in named:
        actions = [action for key in possible for action in found.get((key, is_lead), ())]
        if not actions:
            unknown.append(FieldError(where, f"is no {'lead' if is_lead else 'action'} on record"))
        for action_id in actions:
            wanted.setdefault(action_id, reason)
    if unknown:
        raise Problem(404, f"{unknown[0].pointer} {unknown[0].detail}; nothing was returned.", unknown)
    if len(wanted) > MOST_RETURNS:
        raise Problem(413, f"{MOST_RETURNS} actions are returned at a time; these are {len(wanted)}.")
    return wanted
