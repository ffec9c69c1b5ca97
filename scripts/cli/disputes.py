"""`leadger disputes`: bills that partners do not accept as they are."""

from typing import Any

import typer

from scripts.cli.bills import Reason, numbered
from scripts.cli.connection import api_command
from scripts.cli.parameters import Bill, OnlyPartner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, cut_off, new_table, print_json, print_list

_AT_ONCE = 500

disputes = typer.Typer(help="Disputes: bills that partners do not accept as they are.", no_args_is_help=True)


@disputes.command("add")
@api_command
def add(client: Client, bill: Bill, reason: Reason, as_json: Json = False) -> None:
    """Note that a bill is disputed: no reminders go out, and credit covers it by hand only."""
    _note(client, bill, reason, as_json)


@disputes.command("list")
@api_command
def list_disputes(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List disputed bills of which something is open, the newest first."""
    unpaid = client.pages("/api/bills", partner=partner, state="issued", kind="bill", limit=_AT_ONCE)
    items, more = cut_off((each for each in unpaid if each["disputed"]), limit)
    table = new_table(("Partner", "Month", "Number", "Open", "Due", "Disputed because"), right=("Open",))
    for each in items:
        said = (each["open"], each["due_on"], each["disputed"])
        add_row(table, each["partner"], each["period"], each["number"], *said)
    print_list(items, more, table, "No bill of which something is open is disputed.", as_json=as_json)


@disputes.command("end")
@api_command
def end(client: Client, bill: Bill, as_json: Json = False) -> None:
    """Note that a bill is disputed no more; credit that is left is used for it."""
    _note(client, bill, None, as_json)


def _note(client: Client, bill: str, reason: str | None, as_json: bool) -> None:
    seen = numbered(client, bill)
    body = {"digest": seen["digest"], "reason": reason}
    found: dict[str, Any] = client.patch(f"/api/bills/{seen['bill_id']}/dispute", body)
    if as_json:
        print_json(found)
        return
    state = "disputed" if found["disputed"] else "disputed no more"
    figures = f"{found['open']} of {found['gross']} {found['currency']}"
    console().print(f"{found['number']} of {found['partner']} is {state}: {figures} is open.", markup=False)
