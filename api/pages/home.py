"""Where a person begins."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import FOR_PEOPLE, Permission, caller_of, requires
from api.pages.navigation import home_of
from api.pages.rendering import led_to
from api.routing import Route

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get("/", dependencies=[FOR_PEOPLE])
async def show_home(request: Request) -> Response:
    """Lead on to the first page of the person."""
    return led_to(request, home_of(request, caller_of(request)))


@router.get("/settings", dependencies=[requires(Permission.ADMIN)])
async def show_settings(request: Request) -> Response:
    """Lead on to the people, the first of the settings."""
    return led_to(request, "/settings/people")
