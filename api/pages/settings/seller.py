"""The seller: who the bills are from."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.forms import Form, submitted
from api.pages.rendering import led_to, page
from api.routes.seller import put_seller
from api.routing import Route
from api.schemas.contracts import SellerIn
from api.state import state_of
from db.contracts import seller
from db.core.engine import transaction

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/seller", dependencies=[requires(Permission.ADMIN)]
)


@router.get("")
async def show_seller(request: Request) -> Response:
    """Who the bills are from, and what a bill needs of it."""
    return await _show(request, Form())


@router.post("")
async def put_seller_here(request: Request) -> Response:
    """Say who the bills are from."""

    async def act(form: Form) -> Response:
        typed = {name: form.value(name) for name in SellerIn.model_fields}
        body = form.read_as(SellerIn, typed | {"small_amount": form.amount("small_amount")})
        await put_seller(request, body)
        return led_to(request, "/settings/seller", "The seller is saved. Issued bills say what they said before.")

    return await submitted(request, act, _show)


async def _show(request: Request, form: Form) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await seller.read(connection)
    return page(request, "settings/seller.html", status=form.status, form=form, seller=found)
