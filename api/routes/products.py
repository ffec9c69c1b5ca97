"""Products: what partners offer."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import partner_id_of, product_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath
from api.schemas.masters import ProductChange, ProductIn, product_out_from_row
from api.state import state_of
from api.wire import json_response
from db.core.engine import transaction
from db.core.row_keys import product_uuid
from db.masters import masters
from db.tasks.notifications import RETRY_QUARANTINE

router = APIRouter(route_class=Route, prefix="/api/products", tags=["products"])
_READ = requires(Permission.READ)
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
    state = state_of(request)
    product_id = product_uuid(body.external_id)
    async with transaction(state.engine) as connection:
        partner_id = await partner_id_of(connection, body.partner)
        created = await masters.create_product(connection, product_id, partner_id, body.model_dump())
        row = await masters.product(connection, product_id)
    assert row is not None
    if not created:
        same = {"name": row["name"], "description": row["description"]}
        differs = [
            name for name, value in same.items() if name in body.model_fields_set and getattr(body, name) != value
        ]
        if row["partner_id"] != partner_id or differs:
            raise Problem(409, f"Product {body.external_id!r} exists with another {(differs or ['partner'])[0]}.")
    else:
        state.notifier.notify(RETRY_QUARANTINE, request_id=request.scope["request_id"])
    return json_response(product_out_from_row(row), 201 if created else 200)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Product])
async def list_products(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Products by external id."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await masters.page(connection, "product", after=place_from_cursor(after, str), limit=limit)
        items = [await masters.product(connection, row["id"]) for row in rows]
    following = cursor_from_place(rows[-1]["external_id"]) if len(rows) == limit else None
    return json_response({"items": [product_out_from_row(row) for row in items if row], "next": following})


@router.get("/{product:path}", dependencies=[_READ], response_model=answers.Product)
async def get_product(request: Request, product: IdPath) -> Response:
    """One product."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        row = await masters.product(connection, await product_id_of(connection, product))
    assert row is not None
    return json_response(product_out_from_row(row))


@router.patch("/{product:path}", dependencies=[_ADMIN], response_model=answers.Product)
async def change_product(request: Request, product: IdPath, body: ProductChange) -> Response:
    """Change a product's name or description; its partner never changes."""
    if "name" in body.model_fields_set and body.name is None:
        raise Problem(400, "A product must have a name; it cannot be null.")
    async with transaction(state_of(request).engine) as connection:
        product_id = await product_id_of(connection, product)
        await masters.change_product(connection, product_id, body.sent())
        row = await masters.product(connection, product_id)
    assert row is not None
    return json_response(product_out_from_row(row))
