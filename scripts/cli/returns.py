"""`leadger returns`: actions that are returned, asked for or decided."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

returns = typer.Typer(help="Returns: asked for by partners, decided by Finance.", no_args_is_help=True)

Actions = Annotated[list[str], typer.Argument(metavar="ACTION…", help="The actions' UUIDs.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@returns.command("ask")
@api_command
def ask(
    client: Client,
    names: Annotated[list[str], typer.Argument(metavar="ACTION…", help="The actions' UUIDs, or with --leads leads.")],
    reason: Annotated[str, typer.Option("--reason", help="invalid, duplicate, wrong_contact, not_interested, …")],
    text: Annotated[str | None, typer.Option("--text", help="What there is to say beside the reason.")] = None,
    leads: Annotated[bool, typer.Option("--leads", help="The names are of leads: all their actions.")] = False,
    source: Annotated[str | None, typer.Option("--source", help="Who numbered the leads.")] = None,
    as_json: Json = False,
) -> None:
    """Ask for actions to be returned; where you are Finance, they are returned at once."""
    body: dict[str, Any] = {"leads" if leads else "actions": names, "reason": {"reason": reason, "text": text}}
    _print(client.post("/api/returns", body | ({"source": source} if source else {}))["items"], as_json)


@returns.command("list")
@api_command
def list_returns(
    client: Client,
    partner: OnlyPartner = None,
    state: Annotated[str | None, typer.Option(help="Only those asked, returned or refused.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List returns with the reason and what was decided, the newest first."""
    items, more = some_pages(client, "/api/returns", limit, partner=partner, state=state)
    columns = ("Partner", "Lead", "Action", "Amount", "State", "Reason", "Text", "Answer")
    table = new_table(columns, right=("Amount",), unbroken=["Action"])
    for each in items:
        names = each["partner"], each["lead_id"], each["action"], each["amount"], each["state"]
        add_row(table, *names, each["reason"]["reason"], each["reason"]["text"], each["answer"])
    print_list(items, more, table, "There are no returns.", as_json=as_json)


@returns.command("accept")
@api_command
def accept(client: Client, actions: Actions, reason: Reason, as_json: Json = False) -> None:
    """Return actions as it was asked."""
    _decide(client, "accept", actions, reason, as_json)


@returns.command("refuse")
@api_command
def refuse(client: Client, actions: Actions, reason: Reason, as_json: Json = False) -> None:
    """Refuse to return actions."""
    _decide(client, "refuse", actions, reason, as_json)


@returns.command("import")
@api_command
def import_file(
    client: Client,
    file: Annotated[
        Path, typer.Argument(help="A CSV file with lead_id or action_id, reason, and text and source if you like.")
    ],
    as_json: Json = False,
) -> None:
    """Ask for the returns of a CSV file; the same file again changes nothing."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CannotStart(f"{file} cannot be read: {error.strerror}.") from None
    sent = client.send("POST", "/api/returns", content=content, headers={"Content-Type": "text/csv"})
    _print(sent.json()["items"], as_json)


def _decide(client: Client, decision: str, actions: list[str], reason: str, as_json: bool) -> None:
    body = {"actions": actions, "decision": decision, "reason": reason}
    _print(client.post("/api/returns/decide", body)["items"], as_json)


def _print(results: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(results)
        return
    table = new_table(("Action", "State", "Detail"), unbroken=["Action"])
    for each in results:
        add_row(table, each["action"], each["state"], each["detail"])
    console().print(table)
    for state in ("asked", "returned", "refused"):
        if count := sum(each["state"] == state for each in results):
            note(f"{count} {state}.")
