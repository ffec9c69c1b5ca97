"""Credit notes: what is taken back of issued bills, line by line or as a whole (B8)."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import bill_id_of
from api.routes.bills import bill_answer
from api.routing import Route
from api.schemas import answers
from api.schemas.account import CreditNoteIn
from api.state import unit_of_work
from api.wire import json_response
from db.bills import credit_notes
from db.bills.credit_notes import Wanted
from db.core.unit_of_work import UnitOfWork

router = APIRouter(route_class=Route, prefix="/api/credit-notes", tags=["account"])


@router.post("", status_code=201, dependencies=[requires(Permission.BILL)], response_model=answers.Bill)
async def create_credit_note(request: Request, body: CreditNoteIn) -> Response:
    """Make a credit note of an issued bill as a draft; it is submitted, approved and issued like a bill, at /api/bills.

    409 for more than earlier notes and returned actions left of a line. With `cancel` it is over all that earlier notes
    left, and its issue cancels the bill; the month stays closed, and POST /api/bills makes the replacement.
    """
    async with unit_of_work(request) as uow:
        note_id = await make_credit_note(uow, body)
        content = await bill_answer(request, uow.connection, note_id)
    return json_response(content, 201)


async def make_credit_note(uow: UnitOfWork, body: CreditNoteIn, note_id: UUID | None = None) -> UUID:
    """The draft of a credit note, one for each `note_id`; Problem 404 if there is no such bill."""
    bill_id = await bill_id_of(uow.connection, body.bill)
    note_id = await credit_notes.create(uow, bill_id, Wanted(body.amounts(), body.reason), note_id)
    assert note_id is not None
    return note_id
