"""All partners, and a new one."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, path_to
from api.pages.rendering import led_to, page
from api.paging import After, cursor_from_place, place_from_cursor
from api.routes.partners import create_partner
from api.routing import Route
from api.schemas.partners import PartnerIn
from api.state import state_of
from db.contracts import reading
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.masters import partners

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get("/partners", dependencies=[requires(Permission.READ)])
async def show_partners(request: Request, q: str = "", after: After = None) -> Response:
    """Partners by their own ids; with `q` those whose id or name has it."""
    text = q.strip()
    async with transaction(state_of(request).engine, readonly=True) as connection:
        place = place_from_cursor(after, str)
        found = await partners.read_page(connection, after=place, limit=PER_PAGE, search=text or None)
        contracts = await reading.read_many(connection, [each.id for each in found])
    following = cursor_from_place(found[-1].external_id) if len(found) == PER_PAGE else None
    return page(
        request,
        "partners/directory.html",
        q=text,
        partners=found,
        contracts=contracts,
        may_create=caller_of(request).may(Permission.ADMIN),
        links=beside(request, {"q": text}, following),
    )


@router.get("/customers", dependencies=[requires(Permission.READ)])
async def lead_to_partners(request: Request) -> Response:
    """Approval apps call the billed companies customers."""
    return led_to(request, "/partners")


@router.get("/customers/{partner}", dependencies=[requires(Permission.READ)])
async def lead_to_partner(request: Request, partner: str) -> Response:
    """The overview of a partner, by the name that approval apps have for it."""
    return led_to(request, path_to("partners", partner))


@router.get("/partners/new", dependencies=[requires(Permission.ADMIN)])
async def show_new_partner(request: Request) -> Response:
    """The form for a new partner."""
    return await _show_new(request, Form())


@router.post("/partners/new", dependencies=[requires(Permission.ADMIN)])
async def create_partner_here(request: Request) -> Response:
    """Create a partner."""

    async def act(form: Form) -> Response:
        names = ("external_id", "name", "billing_email", "currency", "timezone")
        sent = {name: form.value(name).strip() for name in names} | {"cap": form.amount("cap") or None}
        body = form.read_as(PartnerIn, sent)
        await create_partner(request, body)
        said = f"{body.name} is there. Say next what is agreed with it."
        return led_to(request, f"/partners/{partner_uuid(body.external_id)}/terms", said)

    return await submitted(request, act, _show_new)


async def _show_new(request: Request, form: Form) -> Response:
    return page(request, "partners/new.html", status=form.status, form=form)
