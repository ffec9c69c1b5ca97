"""Every page of the application."""

from fastapi import FastAPI

from api.pages import (
    account,
    activity,
    activity_export,
    assets,
    bill,
    bills,
    dashboard,
    dead_letters,
    held,
    home,
    import_leads,
    month_end,
    own_partner,
    own_reconciliation,
    own_returns,
    password,
    person,
    quarantine,
    search,
    welcome,
    what_if,
)
from api.pages.partners import directory, month, offered_products, overview, prices, statement, terms, usage_by_month
from api.pages.settings import audit_lines, keys, notifications, people, seller, webhooks

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
    activity_export,  # before the activity, whose leads have ids
    activity,
    person,
    own_partner,
    own_reconciliation,
    own_returns,
    search,
    month_end,
    import_leads,
    what_if,
    quarantine,
    held,
    dead_letters,
    people,
    keys,
    webhooks,
    notifications,
    seller,
    audit_lines,
)


def install(app: FastAPI) -> None:
    """Serve the pages and the files beside them; none of it is part of the API's description."""
    for area in _AREAS:
        app.include_router(area.router)
