"""Bills: made from closed periods, moved by people, issued once and for all (B1 to B7)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.movers import mover_of, waiting_caller
from api.access.permissions import FOR_PEOPLE, Permission, caller_of, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem, problem_from
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.bills import BillIn, MoveIn, MovesIn, ReasonedMoveIn, action_out, bill_out, head_out
from api.schemas.fields import PeriodQuery, QueryId, UuidPath
from api.state import state_of, unit_of_work
from api.wire import json_response, list_response
from billing.bills.states import Move
from billing.periods import period_from_text
from db.bills import creation, credit_notes, history, issuing, moves, records, replay, reviews
from db.bills.files import stored
from db.bills.files.formats import MEDIA_TYPES, BillFormat
from db.bills.filters import BillFilter
from db.bills.moves import Asked
from db.bills.orders import BillOrder
from db.bills.records import Bill
from db.core.engine import transaction
from db.mail import outgoing
from db.reports.report_files import read_file

router = APIRouter(route_class=Route, prefix="/api/bills", tags=["bills"])
_READ = requires(Permission.READ, within_partner=True)
_BILL = requires(Permission.BILL)
_REVIEW = [FOR_PEOPLE, requires(Permission.READ)]

ListedState = Literal["draft", "pending", "approved", "rejected", "issued", "paid", "written_off", "void", "cancelled"]


@router.post(
    "",
    status_code=202,
    dependencies=[_BILL],
    response_model=answers.TaskStarted,
    responses={200: {"model": answers.Bill, "description": "The period has a bill."}},
)
async def make_bill(request: Request, body: BillIn) -> Response:
    """Make the bill of an ended month as a draft, and of each month before it that has none; this closes them.

    200 with the bill if there is a live one. 409 at once if the month has not ended.
    """
    state = state_of(request)
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        task_id = await creation.request(uow, state.policies, partner_id, body.period, datetime.now(UTC))
        live = None if task_id else await records.live_of(uow.connection, partner_id, body.period)
        found = await bill_answer(request, uow.connection, live) if live else None
    return json_response(found) if task_id is None else task_started(task_id)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.BillHead])
async def list_bills(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    period: PeriodQuery = None,
    state: ListedState | None = None,
    number: Annotated[QueryId | None, Query(description="only the one with this number")] = None,
    kind: Annotated[Literal["bill", "credit_note"] | None, Query(description="only these")] = None,
    overdue: Annotated[
        bool, Query(description="only open ones whose due date has passed where the partner is")
    ] = False,
    waiting_for: Annotated[Literal["me"] | None, Query(description="only those with a move open to you")] = None,
    order: Annotated[
        BillOrder,
        Query(description="what they are sorted by, a minus turns it round: one without a due date is due after all"),
    ] = BillOrder.NEWEST,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Bills and credit notes, the newest first unless another order is asked for."""
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        only = BillFilter(
            partner_id=await partner_id_of(connection, partner, within=within) if partner else within,
            period=period_from_text(period) if period else None,
            state=state,
            overdue_at=datetime.now(UTC) if overdue else None,
            number=number,
            is_note=None if kind is None else kind == "credit_note",
            issued_only=within is not None,
            waiting_for=waiting_caller(request) if waiting_for else None,
        )
        before = place_from_cursor(after, order.place_kind)
        found = await records.page(connection, only, before=before, limit=limit, order=order)
    following = cursor_from_place(records.place_of(order, found[-1])) if len(found) == limit else None
    return json_response({"items": [head_out(head) for head in found], "next": following})


@router.get("/{bill_id}", dependencies=[_READ], response_model=answers.Bill)
async def get_bill(request: Request, bill_id: UuidPath) -> Response:
    """A bill with its lines, what it says of tax, who approves it, its files, and the moves that are open to you."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        return json_response(await bill_answer(request, connection, bill_id))


@router.get(
    "/{bill_id}/actions", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.BillAction]
)
async def list_actions(request: Request, bill_id: UuidPath, limit: Limit = 100, after: After = None) -> Response:
    """What was done with a bill, the oldest first; nothing of it ever changes."""
    place = place_from_cursor(after, int) or 0
    async with transaction(state_of(request).engine, readonly=True) as connection:
        if await records.partner_of(connection, bill_id) is None:
            raise no_bill(bill_id)
        found = await history.read(connection, bill_id, after=place, limit=limit)
    following = cursor_from_place(found[-1].position) if len(found) == limit else None
    return json_response({"items": [action_out(action) for action in found], "next": following})


@router.get("/{bill_id}/files/{kind}", dependencies=[_READ], response_class=Response)
async def get_file(request: Request, bill_id: UuidPath, kind: BillFormat) -> Response:
    """A file of an issued bill, with the bytes that `files` names the checksum of."""
    return await file_response(request, bill_id, kind, is_attached=True)


async def file_response(request: Request, bill_id: UUID, kind: BillFormat, *, is_attached: bool) -> Response:
    """A file of an issued bill, to be kept or to be shown; Problem 404 if there is none."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        bill = await found_bill(request, connection, bill_id)
        files = await stored.read(connection, bill_id)
    found = next((file for file in files if file.format is kind), None)
    if bill.issue is None or found is None:
        raise Problem(404, f"There is no {kind} of this bill yet; a task makes it once the bill is issued.")
    try:
        blocks = await run_in_threadpool(read_file, found.url)
    except FileNotFoundError:
        raise Problem(404, f"The {kind} of {bill.issue.number} is no longer in its folder.") from None
    name = f"{bill.issue.number}.{kind}" if is_attached else ""
    return state.downloads.start(caller_of(request).id, blocks, MEDIA_TYPES[kind], name)


@router.post("/{bill_id}/replay", status_code=202, dependencies=[_BILL], response_model=answers.TaskStarted)
async def replay_bill(request: Request, bill_id: UuidPath) -> Response:
    """Make a bill again from leads, rates, terms and usage as they were; the result is the first difference, or null.

    409 for a void bill.
    """
    async with unit_of_work(request) as uow:
        task_id = await replay.start(uow, await found_bill(request, uow.connection, bill_id))
    return task_started(task_id)


@router.patch("/{bill_id}/submit", dependencies=[_BILL], response_model=answers.Bill)
async def submit_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Ask for the approvals that today's terms want; without any the bill is approved."""
    return await _moved(request, bill_id, Asked(Move.SUBMIT, body.digest, body.comment))


@router.patch("/{bill_id}/recall", dependencies=[_BILL], response_model=answers.Bill)
async def recall_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Take a bill back to draft; its approvals are dropped."""
    return await _moved(request, bill_id, Asked(Move.RECALL, body.digest, body.comment))


@router.patch("/{bill_id}/refresh", dependencies=[_BILL], response_model=answers.Bill)
async def refresh_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Make a draft anew from what holds now."""
    return await _moved(request, bill_id, Asked(Move.REFRESH, body.digest, body.comment))


@router.patch("/{bill_id}/revise", dependencies=[_BILL], response_model=answers.Bill)
async def revise_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Take a rejected bill back to draft."""
    return await _moved(request, bill_id, Asked(Move.REVISE, body.digest, body.comment))


@router.patch("/{bill_id}/issue", dependencies=[_BILL], response_model=answers.Bill)
async def issue_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Number, date and seal an approved bill; from then on it never changes. A task makes its files."""
    return await _moved(request, bill_id, Asked(Move.ISSUE, body.digest, body.comment))


@router.patch("/{bill_id}/void", dependencies=[_BILL], response_model=answers.Bill)
async def void_bill(request: Request, bill_id: UuidPath, body: ReasonedMoveIn) -> Response:
    """Give up a bill that is not issued; its period stays closed and can get another bill."""
    return await _moved(request, bill_id, Asked(Move.VOID, body.digest, body.reason))


@router.patch("/{bill_id}/approve", dependencies=_REVIEW, response_model=answers.Bill)
async def approve_bill(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Approve a bill that somebody else made; an Admin overrides what is asked, with a comment."""
    return await _moved(request, bill_id, Asked(Move.APPROVE, body.digest, body.comment))


@router.patch("/{bill_id}/withdraw", dependencies=_REVIEW, response_model=answers.Bill)
async def withdraw_approval(request: Request, bill_id: UuidPath, body: MoveIn) -> Response:
    """Take your own approval back."""
    return await _moved(request, bill_id, Asked(Move.WITHDRAW, body.digest, body.comment))


@router.patch("/{bill_id}/reject", dependencies=_REVIEW, response_model=answers.Bill)
async def reject_bill(request: Request, bill_id: UuidPath, body: ReasonedMoveIn) -> Response:
    """Reject a bill with the reason; its approvals are dropped."""
    return await _moved(request, bill_id, Asked(Move.REJECT, body.digest, body.reason))


@router.post("/moves", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.MovedBill])
async def move_bills(request: Request, body: MovesIn) -> Response:
    """Make one move of many bills, each in a transaction of its own; the answer says how each went."""
    return list_response(await moved_bills(request, body))


async def moved_bills(request: Request, body: MovesIn) -> list[dict[str, Any]]:
    """How each of many moves went."""
    move = Move(body.move)
    check_mover(request, move)
    results: list[dict[str, Any]] = []
    for each in body.bills:
        try:
            await moved_bill(request, each.bill, Asked(move, each.digest, body.comment))
            results.append({"bill": each.bill, "status": 200, "detail": None})
        except Exception as error:
            problem = problem_from(error, request)
            if problem is None:
                raise
            results.append({"bill": each.bill, "status": problem.status_code, "detail": problem.detail})
    return results


def check_mover(request: Request, move: Move) -> None:
    """Problem 403 for a move that the permission to bill is needed for; reviews are up to the bill."""
    if move not in (Move.APPROVE, Move.WITHDRAW, Move.REJECT):
        caller_of(request).check(Permission.BILL)


async def moved_bill(request: Request, bill_id: UUID, asked: Asked) -> Bill:
    """The bill after a move in a transaction of its own; Problem 404 if there is none."""
    async with unit_of_work(request) as uow:
        bill = await moves.move(uow, bill_id, asked, mover_of(request), datetime.now(UTC))
    if bill is None:
        raise no_bill(bill_id)
    return bill


async def _moved(request: Request, bill_id: UUID, asked: Asked) -> Response:
    async with unit_of_work(request) as uow:
        if await moves.move(uow, bill_id, asked, mover_of(request), datetime.now(UTC)) is None:
            raise no_bill(bill_id)
        content = await bill_answer(request, uow.connection, bill_id)
    return json_response(content)


async def bill_answer(request: Request, connection: asyncpg.Connection, bill_id: UUID) -> dict[str, Any]:
    """A bill as the caller sees it; a caller that is bound to a partner sees issued ones, and nothing of approvals."""
    bill, within = await found_bill(request, connection, bill_id), own_partner(request)
    files = await stored.read(connection, bill_id)
    corrected = await issuing.numbers_of_corrected(connection, bill)
    if within is not None:
        return bill_out(bill, review=None, names={}, moves=[], files=files, corrected=corrected, mails=None)
    review = await reviews.read(connection, bill.head)
    return bill_out(
        bill,
        review=review,
        names=await reviews.names(connection, (given.person for given in review.given)),
        moves=await moves.open_to(connection, bill.head, caller_of(request).actor, mover_of(request)),
        files=files,
        corrected=corrected,
        mails=await outgoing.of_bill(connection, bill_id),
        returned_beside_minor=await credit_notes.returned_beside(connection, bill),
    )


async def found_bill(request: Request, connection: asyncpg.Connection, bill_id: UUID) -> Bill:
    """A bill that the caller may see; Problem 404 if there is none."""
    bill, within = await records.read(connection, bill_id), own_partner(request)
    if bill is None or (within is not None and (bill.head.partner_id != within or bill.issue is None)):
        raise no_bill(bill_id)
    return bill


def no_bill(bill_id: UUID) -> Problem:
    """Problem 404."""
    return Problem(404, f"There is no bill {bill_id}.")
