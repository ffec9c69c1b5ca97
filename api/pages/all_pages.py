"""Every page of the application."""

from fastapi import FastAPI

from api.pages import account, assets, bill, bills, dashboard, home, password, welcome


def install(app: FastAPI) -> None:
    """Serve the pages and the files beside them; none of it is part of the API's description."""
    for area in (assets, home, welcome, password, account, dashboard, bills, bill):
        app.include_router(area.router)
