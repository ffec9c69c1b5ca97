"""`leadger partners`: the companies that pay, made and listed; what is agreed with one, by month, shown and changed."""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    follow_task,
    new_table,
    print_json,
    print_list,
    print_panel,
    some_pages,
)
from scripts.errors import CannotStart

partners = typer.Typer(help="Partners: make and list them; what is agreed with them.", no_args_is_help=True)

_SHOWN = ("po_number", "address", "tax_id", "start_date", "end_date", "return_days", "return_reasons", "billing_from")


@partners.command("create")
@api_command
def create(
    client: Client,
    partner: Annotated[str, typer.Argument(metavar="ID", help="Your own id of the partner.")],
    name: Annotated[str, typer.Argument(help="The partner's name.")],
    terms: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Terms, like currency=EUR, timezone=Europe/Berlin or cap=80.00."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a partner; the same again changes nothing. Values are written as for `leadger partners terms`."""
    made = client.post("/api/partners", {"external_id": partner, "name": name} | _body(terms or []))
    if as_json:
        print_json(made)
    else:
        console().print(f"There is {made['name']}, {partner}: {made['currency']}, {made['timezone']}.", markup=False)


@partners.command("list")
@api_command
def list_partners(client: Client, limit: Limit = 100, as_json: Json = False) -> None:
    """List partners by id."""
    items, more = some_pages(client, "/api/partners", limit)
    table = new_table(("Id", "Name", "Currency", "Time zone", "Closed through"))
    for each in items:
        add_row(table, each["external_id"], each["name"], each["currency"], each["timezone"], each["closed_through"])
    print_list(items, more, table, "There is no partner.", as_json=as_json)


@partners.command("terms")
@api_command
def terms(
    client: Client,
    partner: Partner,
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="What to change, like payment_days=14 or preferences.paper=Letter; `none` empties.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="MONTH", help="The month from which it counts; by default the first open one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is agreed with a partner from which month on, or change what is named.

    Names are those of `PATCH /api/partners`. Lists are written a,b; a tax like "S 20.00"; approvals like
    csm,sales:1000.00 (the Sales people from that amount on), `nobody` or `none` for the default.
    """
    path = f"/api/partners/{quote(partner, safe='')}"
    if not changes:
        _print_versions(client.get(f"{path}/terms")["items"], as_json=as_json)
        return
    body = _body(changes) | ({"effective_period": start} if start else {})
    changed = client.send("PATCH", path, json=body).json()
    if task := changed.pop("task", None):
        follow_task(client, task, "Judging open actions again")
    if as_json:
        print_json(changed)
    else:
        console().print(f"The terms of {changed['name']} are changed.", markup=False)


def _body(changes: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs as the body of a PATCH; raises CannotStart for what is no pair."""
    body: dict[str, Any] = {}
    for change in changes:
        name, is_pair, text = change.partition("=")
        if not is_pair:
            raise CannotStart(f"What to change is written NAME=VALUE, and {change!r} is not.")
        group, _, inner = name.partition(".")
        place = body.setdefault(group, {}) if inner else body
        read = _READERS.get(name, str)
        place[inner or name] = None if text == "none" and read is not _list else read(text)
    return body


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else text  # the API says what is wrong with any other


def _yes_or_no(text: str) -> Any:
    return {"yes": True, "no": False}.get(text, text)


def _list(text: str) -> list[str]:
    return [] if text == "none" else [each.strip() for each in text.split(",") if each.strip()]


def _tax(text: str) -> dict[str, str]:
    named = zip(("category", "rate", "note"), text.split(maxsplit=2), strict=False)
    return {"rate": "0.00"} | dict(named)


def _approvals(text: str) -> list[dict[str, str | None]]:
    asked = [each.partition(":") for each in _list("" if text == "nobody" else text)]
    return [{"by": by, "above": above or None} for by, _, above in asked]


_READERS: dict[str, Callable[[str], Any]] = {
    "dedup_window": _number,
    "monthly_api_limit": _number,
    "payment_days": _number,
    "return_days": _number,
    "preferences.first_number": _number,
    "usage_sources": _list,
    "return_reasons": _list,
    "preferences.emails": _list,
    "require_csm_approval": _yes_or_no,
    "preferences.auto_issue": _yes_or_no,
    "preferences.send": _yes_or_no,
    "tax": _tax,
    "preferences.approvals": _approvals,
}
"""How the values are written that are no texts, by their names."""


def _print_versions(versions: list[dict[str, Any]], *, as_json: bool) -> None:
    figures = ("Cap", "Limit", "Unit cost", "Days to pay")
    table = new_table(("From", "Cap", "Window", "Limit", "Unit cost", "Tax", "Days to pay", "CSM"), right=figures)
    for each in versions:
        add_row(
            table,
            max(each["terms_since"] or "", each["billing_terms_since"] or "") or "the beginning",
            each["cap"] or "none",
            each["dedup_window"],
            each["monthly_api_limit"],
            each["overage_unit_cost"],
            each["tax"] and f"{each['tax']['category']} {each['tax']['rate']} %",
            each["payment_days"],
            each["csm"] and each["csm"]["name"],
        )
    print_list(versions, False, table, "Nothing is agreed.", as_json=as_json)
    if not as_json:
        newest = versions[-1]
        rows = {name: newest[name] for name in _SHOWN} | newest["preferences"]
        agreed = {name.replace("_", " "): value for name, value in rows.items() if value not in (None, [])}
        print_panel(console(), f"{newest['name']}, since the newest", agreed)
