"""Every page of the application."""

from fastapi import FastAPI

from api.pages import (
    account,
    activity,
    assets,
    bill,
    bills,
    dashboard,
    dead_letters,
    home,
    own_partner,
    password,
    person,
    quarantine,
    search,
    welcome,
)
from api.pages.partners import directory, month, offered_products, overview, prices, statement, terms, usage_by_month
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
    directory,
    overview,
    month,
    terms,
    offered_products,
    prices,
    usage_by_month,
    statement,
    activity,
    person,
    own_partner,
    search,
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
