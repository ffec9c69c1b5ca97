"""Refunds: money paid back to partners (B9)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import documents
from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit
from api.routing import Route
from api.schemas import answers
from api.schemas.account import RefundIn, ReversalIn
from api.schemas.fields import IdPath, QueryId
from api.state import unit_of_work
from billing.bills.account import EntryKind
from db.bills.documents import Document

router = APIRouter(route_class=Route, prefix="/api/refunds", tags=["account"])
_BILL = requires(Permission.BILL)
_READ = requires(Permission.READ)
_SAME = {"model": answers.Refund, "description": "It is there already, just so."}


@router.post("", status_code=201, dependencies=[_BILL], response_model=answers.Refund, responses={200: _SAME})
async def enter_refund(request: Request, body: RefundIn) -> Response:
    """Enter a refund; the same again answers 200, another one with its id 409.

    409 for more than is left of credits once all is paid.
    """
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        document = Document(EntryKind.REFUND, body.external_id, partner_id, body.amount, body.reference, body.paid_on)
        return await documents.enter(uow, document)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Refund])
async def list_refunds(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Refunds with the credits that cover them, the newest first."""
    return await documents.list_page(request, EntryKind.REFUND, partner, limit, after)


@router.get("/{refund_id:path}", dependencies=[_READ], response_model=answers.Refund)
async def get_refund(request: Request, refund_id: IdPath) -> Response:
    """A refund with the credits that cover it."""
    return await documents.show(request, EntryKind.REFUND, refund_id)


@router.post("/{refund_id:path}/reverse", dependencies=[_BILL], response_model=answers.Refund)
async def reverse_refund(request: Request, refund_id: IdPath, body: ReversalIn) -> Response:
    """Take a refund back: the credits that covered it are left again. Repeating it is safe."""
    return await documents.reverse(request, EntryKind.REFUND, refund_id, body.reason)
