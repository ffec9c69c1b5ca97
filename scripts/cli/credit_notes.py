"""`leadger credit-notes`: what is taken back of issued bills."""

from typing import Annotated, Any

import typer

from scripts.cli.bills import numbered, send_bill
from scripts.cli.connection import api_command, signed_in
from scripts.cli.parameters import OnlyPartner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

credit_notes = typer.Typer(help="Credit notes: what is taken back of issued bills.", no_args_is_help=True)

Note = Annotated[str, typer.Argument(metavar="NOTE", help="The id of the credit note, or its number.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@credit_notes.command("create")
@api_command
def create(
    client: Client,
    bill: Annotated[str, typer.Argument(help="The number of the bill, like ACME-0001.")],
    reason: Reason,
    lines: Annotated[
        list[str] | None, typer.Option("--line", metavar="LINE=NET", help="How much of a line, before tax.")
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Over all that is left, which cancels the bill.")] = False,
    as_json: Json = False,
) -> None:
    """Make a credit note as a draft; then submit, approve and issue it like a bill."""
    if cancel == bool(lines):
        raise CannotStart("Name --line once or more, or --cancel.")
    over = {"cancel": True} if cancel else {"lines": [_line(each) for each in lines or []]}
    _print(client.post("/api/credit-notes", {"bill": bill, "reason": reason} | over, repeatable=False), as_json)


@credit_notes.command("list")
@api_command
def list_notes(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List credit notes, the newest first."""
    items, more = some_pages(client, "/api/bills", limit, partner=partner, kind="credit_note")
    table = new_table(("Partner", "Month", "Number", "State", "Gross", "Id"), right=("Gross",), unbroken=["Id"])
    for each in items:
        add_row(table, each["partner"], each["period"], each["number"], each["state"], each["gross"], each["bill_id"])
    print_list(items, more, table, "There are no credit notes.", as_json=as_json)


def _simple(name: str, help_text: str) -> None:
    """A move that needs neither a person nor a reason."""

    @credit_notes.command(name, help=help_text)
    @api_command
    def command(client: Client, number_or_id: Note, as_json: Json = False) -> None:
        _move(client, number_or_id, name, {}, as_json)


_simple("submit", "Ask for the approvals of a draft that the partner's terms want.")
_simple("issue", "Number and seal an approved credit note; it covers its own bill first.")


@credit_notes.command("approve")
@api_command
def approve(
    client: Client,
    number_or_id: Note,
    who: Annotated[str, typer.Option("--as", metavar="EMAIL", help="The person who approves.")],
    comment: Annotated[str | None, typer.Option("--comment", help="What to keep in its history.")] = None,
    as_json: Json = False,
) -> None:
    """Approve a credit note that somebody else made."""
    with signed_in(client, who):
        _move(client, number_or_id, "approve", {"comment": comment}, as_json)


@credit_notes.command("send")
@api_command
def send(
    client: Client,
    number_or_id: Note,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the mail and send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send an issued credit note with its PDF to the partner."""
    send_bill(client, numbered(client, number_or_id), dry_run, as_json)


@credit_notes.command("void")
@api_command
def void(client: Client, number_or_id: Note, reason: Reason, as_json: Json = False) -> None:
    """Give up a credit note that is not issued."""
    _move(client, number_or_id, "void", {"reason": reason}, as_json)


def _move(client: Client, number_or_id: str, name: str, body: dict[str, Any], as_json: bool) -> None:
    found = numbered(client, number_or_id)
    _print(client.patch(f"/api/bills/{found['bill_id']}/{name}", {"digest": found["digest"]} | body), as_json)


def _line(text: str) -> dict[str, Any]:
    line, equals, net = text.partition("=")
    if not equals or not line.isdecimal():
        raise CannotStart(f"--line takes a line and an amount, like 1=5.00, and not {text!r}.")
    return {"line": int(line), "net": net}


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    called = found["number"] or found["bill_id"]
    console().print(
        f"Credit note {called} of {found['partner']} over {found['gross']} {found['currency']} is {found['state']}.",
        markup=False,
        soft_wrap=True,
    )
    if found["returned_beside"] not in (None, "0.00"):
        note(
            f"{found['returned_beside']} of it, before tax, other bills credit already, for returned actions; "
            "the partner has that twice until the replacement is issued."
        )
