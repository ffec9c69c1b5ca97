"""`leadger opening-items`: what was open before Leadger billed a partner."""

from typing import Annotated

import typer

from scripts.cli import documents
from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, Partner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, print_json, print_list, some_pages

_PATH = "/api/opening-items"

opening_items = typer.Typer(
    help="Opening items: what was open before Leadger billed a partner, or paid too much.", no_args_is_help=True
)


@opening_items.command("add", context_settings={"ignore_unknown_options": True})  # else -2.50 would be an option
@api_command
def add(
    client: Client,
    partner: Partner,
    amount: Annotated[str, typer.Argument(help="What was open, like 12.00, or -2.50 if so much was paid too much.")],
    name: Annotated[str, typer.Option("--id", help="The item's own id; the same again changes nothing.")],
    due_on: Annotated[
        str | None, typer.Option("--due-on", metavar="DAY", help="When it is due, like 2024-06-01; else at once.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="The old invoice, say; without one, the id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Enter what a partner owed before its first bill here, or what it had paid too much."""
    body = {"external_id": name, "partner": partner, "amount": amount, "reference": reference or name}
    item = client.post(_PATH, body | ({"due_on": due_on} if due_on else {}))
    if as_json:
        print_json(item)
        return
    console().print(
        f"{item['amount']} {item['currency']} of {partner} from before: {item['open']} open, {item['left']} left.",
        markup=False,
        soft_wrap=True,
    )


@opening_items.command("list")
@api_command
def list_opening_items(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List opening items with what covers them or what they cover, the newest first."""
    items, more = some_pages(client, _PATH, limit, partner=partner)
    table = new_table(
        ("Id", "Partner", "Due on", "Amount", "Covered by, or covers", "Open", "Left"),
        right=("Amount", "Open", "Left"),
    )
    for each in items:
        rest = (documents.uses(each), each["open"], each["left"])
        add_row(table, each["external_id"], each["partner"], each["due_on"], each["amount"], *rest)
    print_list(items, more, table, "There are no opening items.", as_json=as_json)


@opening_items.command("reverse")
@api_command
def reverse(
    client: Client,
    name: Annotated[str, typer.Argument(metavar="ID", help="The opening item's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    as_json: Json = False,
) -> None:
    """Take an opening item back: what it covered is open again, and what covered it is left."""
    documents.reverse(client, _PATH, name, reason, "Opening item", as_json)
