"""The products of a partner, and a new one."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, path_to
from api.pages.partners.heading import heading_of
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.routes.products import create_product
from api.routing import Route
from api.schemas.products import ProductIn
from api.state import state_of
from db.core.engine import transaction
from db.masters import products

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/products")


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_products(request: Request, partner: str, after: After = None) -> Response:
    """What the partner offers."""
    return await _show(request, Form(), partner, after)


@router.post("", dependencies=[requires(Permission.ADMIN)])
async def create_product_here(request: Request, partner: str) -> Response:
    """Create a product; leads that waited for it are decided."""

    async def act(form: Form) -> Response:
        names = ("external_id", "name", "description")
        sent = {name: form.value(name).strip() for name in names} | {"partner": partner}
        body = form.read_as(ProductIn, sent)
        await create_product(request, body)
        said = f"{body.name} is there; leads for it are taken."
        return led_to(request, path_to("partners", partner, "products"), said)

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, partner, None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, partner: str, after: str | None) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        place = place_from_cursor(after, str)
        found = await products.read_page(connection, after=place, limit=PER_PAGE, partner_id=heading.partner.id)
    following = cursor_from_place(found[-1].external_id) if len(found) == PER_PAGE else None
    return page(
        request,
        "partners/products.html",
        status=form.status,
        form=form,
        heading=heading,
        language=heading.language,
        products=found,
        may_create=caller_of(request).may(Permission.ADMIN),
        links=beside(request, {}, following),
    )
