"""The seller: who the bills of this installation are from."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.contracts import SellerIn, seller_out_from_seller
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.contracts import seller
from db.contracts.seller import Seller
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/seller", tags=["contracts"])


@router.put("", dependencies=[requires(Permission.ADMIN)], response_model=answers.Seller)
async def put_seller(request: Request, body: SellerIn) -> Response:
    """Say who the bills are from; it takes the place of all that was said before. Issued bills keep what they say."""
    named = Seller(body.name, body.address, body.tax_id, body.iban, body.small_amount)
    async with unit_of_work(request) as uow:
        await seller.write(uow, named)
    return json_response(seller_out_from_seller(named))


@router.get("", dependencies=[requires(Permission.READ)], response_model=answers.Seller)
async def get_seller(request: Request) -> Response:
    """Who the bills are from; 404 until somebody has said it."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await seller.read(connection)
    if found is None:
        raise Problem(404, "Nobody has said yet who the bills are from: PUT /api/seller does.")
    return json_response(seller_out_from_seller(found))
