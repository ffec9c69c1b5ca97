"""Payments: what partners paid, and which bills that is for (B9)."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import documents
from api.access.permissions import Permission, requires
from api.ids import document_id_of, partner_id_of
from api.paging import After, Limit
from api.routing import Route
from api.schemas import answers
from api.schemas.account import AllocationsIn, PaymentIn, ReversalIn
from api.schemas.fields import IdPath, QueryId
from api.state import unit_of_work
from api.wire import json_response
from billing.bills.account import EntryKind
from db.bills import documents as account_documents
from db.bills.documents import Document

router = APIRouter(route_class=Route, prefix="/api/payments", tags=["account"])
_BILL = requires(Permission.BILL)
_READ = requires(Permission.READ)
_SAME = {"model": answers.Payment, "description": "It is there already, just so."}


@router.post("", status_code=201, dependencies=[_BILL], response_model=answers.Payment, responses={200: _SAME})
async def enter_payment(request: Request, body: PaymentIn) -> Response:
    """Enter a payment; the same again answers 200, another one with its id 409.

    It is used at once: for the bills that it names, then for what is due first. 409 for naming more than is open.
    """
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        named = await documents.named_in(uow.connection, body.allocations)
        document = Document(
            EntryKind.PAYMENT, body.external_id, partner_id, body.amount, body.reference, body.paid_on, named=named
        )
        return await documents.enter(uow, document)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Payment])
async def list_payments(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Payments with what they are used for, the newest first."""
    return await documents.list_page(request, EntryKind.PAYMENT, partner, limit, after)


@router.get("/{payment_id:path}", dependencies=[_READ], response_model=answers.Payment)
async def get_payment(request: Request, payment_id: IdPath) -> Response:
    """A payment with what it is used for, and what is left of it."""
    return await documents.show(request, EntryKind.PAYMENT, payment_id)


@router.patch("/{payment_id:path}", dependencies=[_BILL], response_model=answers.Payment)
async def allocate_payment(request: Request, payment_id: IdPath, body: AllocationsIn) -> Response:
    """Use a payment for other bills than before; what is not named is used for what is due first."""
    entry_id = document_id_of(EntryKind.PAYMENT, payment_id)
    async with unit_of_work(request) as uow:
        named = await documents.named_in(uow.connection, body.allocations)
        if not await account_documents.allocate(uow, entry_id, named, datetime.now(UTC)):
            raise documents.no_document(EntryKind.PAYMENT, payment_id)
        content = await documents.document_answer(uow.connection, EntryKind.PAYMENT, entry_id)
    return json_response(content)


@router.post("/{payment_id:path}/reverse", dependencies=[_BILL], response_model=answers.Payment)
async def reverse_payment(request: Request, payment_id: IdPath, body: ReversalIn) -> Response:
    """Take a payment back: what it was used for is open again. Repeating it is safe."""
    return await documents.reverse(request, EntryKind.PAYMENT, payment_id, body.reason)
