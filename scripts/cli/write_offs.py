"""`leadger write-offs`: what of issued bills will not be paid."""

from typing import Annotated, Any

import typer

from scripts.cli.bills import numbered
from scripts.cli.connection import api_command
from scripts.cli.parameters import Bill, OnlyPartner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, print_json, print_list, some_pages

write_offs = typer.Typer(help="Write-offs: what of issued bills will not be paid.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history of the bill.")]


@write_offs.command("add")
@api_command
def add(client: Client, bill: Bill, reason: Reason, as_json: Json = False) -> None:
    """Write off what is open of a bill: Finance up to the small amount of the seller, an Admin any amount."""
    _send(client, "POST", bill, reason, as_json)


@write_offs.command("list")
@api_command
def list_write_offs(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List bills that were written off, the newest first."""
    items, more = some_pages(client, "/api/bills", limit, partner=partner, state="written_off")
    table = new_table(("Partner", "Month", "Number", "Gross", "Due"), right=("Gross",))
    for each in items:
        add_row(table, each["partner"], each["period"], each["number"], each["gross"], each["due_on"])
    print_list(items, more, table, "No bill was written off.", as_json=as_json)


@write_offs.command("take-back")
@api_command
def take_back(client: Client, bill: Bill, reason: Reason, as_json: Json = False) -> None:
    """Take a write-off back: the bill is open again."""
    _send(client, "DELETE", bill, reason, as_json)


def _send(client: Client, method: str, bill: str, reason: str, as_json: bool) -> None:
    path = f"/api/bills/{numbered(client, bill)['bill_id']}/write-off"
    found: dict[str, Any] = client.send(method, path, repeatable=method == "POST", json={"reason": reason}).json()
    if as_json:
        print_json(found)
        return
    state = "written off" if found["state"] == "written_off" else found["state"]
    figures = f"{found['open']} of {found['gross']} {found['currency']}"
    console().print(f"{found['number']} of {found['partner']} is {state}: {figures} is open.", markup=False)
