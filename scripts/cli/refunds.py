"""`leadger refunds`: what was paid back to partners."""

from typing import Annotated

import typer

from scripts.cli import documents
from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, Partner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, print_json, print_list, some_pages

_PATH = "/api/refunds"

refunds = typer.Typer(help="Refunds: what was paid back to partners.", no_args_is_help=True)


@refunds.command("add")
@api_command
def add(
    client: Client,
    partner: Partner,
    amount: Annotated[str, typer.Argument(help="How much, like 12.00.")],
    name: Annotated[str, typer.Option("--id", help="The refund's own id; the same again changes nothing.")],
    paid_on: Annotated[str, typer.Option("--paid-on", metavar="DAY", help="The day, like 2024-06-01.")],
    reference: Annotated[str | None, typer.Option("--reference", help="What the payee reads; else the id.")] = None,
    as_json: Json = False,
) -> None:
    """Enter what was paid back; at most what is left of the partner's credits once all is paid."""
    body = {"external_id": name, "partner": partner, "amount": amount, "paid_on": paid_on}
    refund = client.post(_PATH, body | {"reference": reference or name})
    if as_json:
        print_json(refund)
        return
    figure = f"{refund['amount']} {refund['currency']}"
    console().print(
        f"{figure} were paid back to {partner}, of {documents.allocated(refund)}.", markup=False, soft_wrap=True
    )


@refunds.command("list")
@api_command
def list_refunds(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List refunds with the credits that cover them, the newest first."""
    items, more = some_pages(client, _PATH, limit, partner=partner)
    table = new_table(("Id", "Partner", "Paid on", "Amount", "Covered by"), right=("Amount",))
    for each in items:
        add_row(table, each["external_id"], each["partner"], each["paid_on"], each["amount"], documents.uses(each))
    print_list(items, more, table, "There are no refunds.", as_json=as_json)


@refunds.command("reverse")
@api_command
def reverse(
    client: Client,
    name: Annotated[str, typer.Argument(metavar="ID", help="The refund's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    as_json: Json = False,
) -> None:
    """Take a refund back: the credits that covered it are left again."""
    documents.reverse(client, _PATH, name, reason, "Refund", as_json)
