"""`leadger statement` and `leadger ageing`: what partners owe."""

from typing import Annotated
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, print_json, print_list, some_pages

_COLUMNS = ("not_due", "1_30", "31_60", "61_90", "over_90", "open", "disputed", "left")
_TITLES = ("Not due", "1-30", "31-60", "61-90", "Over 90", "Open", "Disputed", "Left")


@api_command
def statement(
    client: Client,
    partner: Partner,
    start: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day, like 2024-04-01.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day, included; else today.")] = None,
    as_json: Json = False,
) -> None:
    """Show what was booked on a partner's account from one day to another."""
    found = client.get(f"/api/partners/{quote(partner, safe='')}/statement", **{"from": start, "to": end})
    if as_json:
        print_json(found)
        return
    table = new_table(("Booked on", "What", "Document", "Amount", "Balance"), right=("Amount", "Balance"))
    add_row(table, found["from"], "opening", None, None, found["opening"])
    for each in found["entries"]:
        kind = each["kind"].replace("_", " ")
        add_row(table, each["booked_on"], kind, each["document"], each["amount"], each["balance"])
    add_row(table, found["to"], "closing", None, None, f"{found['closing']} {found['currency']}")
    console().print(table)


@api_command
def ageing(
    client: Client,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DAY", help="At the end of this day, not today.")
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Show what each partner owes, by how many days it has been due."""
    items, more = some_pages(client, "/api/ageing", limit, as_of=as_of)
    table = new_table(("Partner", *_TITLES), right=_TITLES)
    for each in items:
        figures = [each[name] for name in _COLUMNS]
        add_row(table, each["partner"], *figures[:-1], f"{figures[-1]} {each['currency']}")
    print_list(items, more, table, "No partner has an account yet.", as_json=as_json)
