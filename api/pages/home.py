"""Where a person begins."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import FOR_PEOPLE, caller_of
from api.pages.navigation import home_of
from api.pages.rendering import led_to
from api.routing import Route

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get("/", dependencies=[FOR_PEOPLE])
async def show_home(request: Request) -> Response:
    """Lead on to the first page of the person."""
    return led_to(request, home_of(request, caller_of(request)))
