"""The page behind the link by which a person sets a password."""

from fastapi import APIRouter, Request, Response

from api.pages.forms import Form, submitted
from api.pages.rendering import led_to, page
from api.routes.password import Reset, reset_password
from api.routing import Route

router = APIRouter(route_class=Route, include_in_schema=False)


@router.get("/password")
async def show_password(request: Request, token: str = "") -> Response:
    """Ask for the new password."""
    return await _show(request, Form({"token": [token]}))


@router.post("/password")
async def set_password_here(request: Request) -> Response:
    """Set the password by the link, which works once."""

    async def act(form: Form) -> Response:
        await reset_password(request, form.read(Reset))
        return led_to(request, "/welcome", "Your password is set. Sign in with it.")

    return await submitted(request, act, _show, anybody=True)


async def _show(request: Request, form: Form) -> Response:
    return page(request, "password.html", status=form.status, form=form)
