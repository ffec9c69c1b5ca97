"""Products: what partners offer."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath, QueryId
from api.schemas.products import ProductChange, ProductIn, product_out_from_product
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.core.engine import transaction
from db.masters import products

router = APIRouter(route_class=Route, prefix="/api/products", tags=["products"])
_READ = requires(Permission.READ, within_partner=True)
_ADMIN = requires(Permission.ADMIN)


@router.post(
    "",
    status_code=201,
    dependencies=[_ADMIN],
    response_model=answers.Product,
    responses={200: {"model": answers.Product, "description": "It is there already, just so."}},
)
async def create_product(request: Request, body: ProductIn) -> Response:
    """Create a product; leads in quarantine for it are then decided by themselves (R12)."""
    fields = {name: value for name, value in body.sent().items() if name in ("name", "description")}
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner)
        product, is_new = await products.create(uow, body.external_id, partner_id, fields)
    return json_response(product_out_from_product(product), 201 if is_new else 200)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Product])
async def list_products(
    request: Request,
    product: Annotated[QueryId | None, Query(description="this one alone, by its own id, or by its UUID")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Products by external id. With `product` it is that one or none, also if its id is a word of a path."""
    within = own_partner(request)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        if product:
            one = await product_id_of(connection, product, within=within)
            return json_response(
                {"items": [product_out_from_product(await products.read(connection, one))], "next": None}
            )
        place = place_from_cursor(after, str)
        found = await products.read_page(connection, after=place, limit=limit, partner_id=within)
    following = cursor_from_place(found[-1].external_id) if len(found) == limit else None
    return json_response({"items": [product_out_from_product(each) for each in found], "next": following})


@router.get("/{product:path}", dependencies=[_READ], response_model=answers.Product)
async def get_product(request: Request, product: IdPath) -> Response:
    """One product, by its own id or its UUID; 404 if there is none."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        one = await product_id_of(connection, product, within=own_partner(request))
        found = await products.read(connection, one)
    return json_response(product_out_from_product(found))


@router.patch("/{product:path}", dependencies=[_ADMIN], response_model=answers.Product)
async def change_product(request: Request, product: IdPath, body: ProductChange) -> Response:
    """Change a product's name or description; its partner never changes."""
    if "name" in body.model_fields_set and body.name is None:
        raise Problem(400, "A product must have a name; it cannot be null.")
    async with unit_of_work(request) as uow:
        changed = await products.change(uow, await product_id_of(uow.connection, product), body.sent())
    return json_response(product_out_from_product(changed))
