"""Opening items: what was open before Leadger billed a partner (B9)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import documents
from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.paging import After, Limit
from api.routing import Route
from api.schemas import answers
from api.schemas.account import OpeningItemIn, ReversalIn
from api.schemas.fields import IdPath, QueryId
from api.state import unit_of_work
from billing.bills.account import EntryKind
from db.bills.documents import Document

router = APIRouter(route_class=Route, prefix="/api/opening-items", tags=["account"])
_BILL = requires(Permission.BILL)
_READ = requires(Permission.READ)
_SAME = {"model": answers.OpeningItem, "description": "It is there already, just so."}


@router.post("", status_code=201, dependencies=[_BILL], response_model=answers.OpeningItem, responses={200: _SAME})
async def enter_opening_item(request: Request, body: OpeningItemIn) -> Response:
    """Enter an opening item; the same again answers 200, another one with its id 409.

    Above zero the partner owes it, by default due at once; below zero it is credit.
    """
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        document = Document(
            EntryKind.OPENING_ITEM, body.external_id, partner_id, body.amount, body.reference, due_on=body.due_on
        )
        return await documents.enter(uow, document)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.OpeningItem])
async def list_opening_items(
    request: Request,
    partner: Annotated[QueryId | None, Query(description="only this one's")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Opening items with what covers them or what they cover, the newest first."""
    return await documents.list_page(request, EntryKind.OPENING_ITEM, partner, limit, after)


@router.get("/{opening_item_id:path}", dependencies=[_READ], response_model=answers.OpeningItem)
async def get_opening_item(request: Request, opening_item_id: IdPath) -> Response:
    """An opening item with what covers it or what it covers."""
    return await documents.show(request, EntryKind.OPENING_ITEM, opening_item_id)


@router.post("/{opening_item_id:path}/reverse", dependencies=[_BILL], response_model=answers.OpeningItem)
async def reverse_opening_item(request: Request, opening_item_id: IdPath, body: ReversalIn) -> Response:
    """Take an opening item back; its uses are freed. Repeating it is safe."""
    return await documents.reverse(request, EntryKind.OPENING_ITEM, opening_item_id, body.reason)
