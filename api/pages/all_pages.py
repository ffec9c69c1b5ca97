"""Every page of the application."""

from fastapi import FastAPI

from api.pages import account, assets, bill, bills, dashboard, dead_letters, home, password, quarantine, welcome
from api.pages.settings import audit_lines, keys, people, seller

_AREAS = (
    assets,
    home,
    welcome,
    password,
    account,
    dashboard,
    bills,
    bill,
    quarantine,
    dead_letters,
    people,
    keys,
    seller,
    audit_lines,
)


def install(app: FastAPI) -> None:
    """Serve the pages and the files beside them; none of it is part of the API's description."""
    for area in _AREAS:
        app.include_router(area.router)
