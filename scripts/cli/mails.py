"""`leadger mails`: what became of mail about bills, and trying again what was given up."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, moment, new_table, print_json, print_list, some_pages

mails = typer.Typer(help="Mail about bills: what became of it.", no_args_is_help=True)


@mails.command("list")
@api_command
def list_mails(
    client: Client,
    state: Annotated[
        str | None, typer.Option(help="Only those that are waiting, bounced or given_up somewhere.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only these: bill, reminder or notice.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List mails, the newest first, with where each stands at every address."""
    items, more = some_pages(client, "/api/mails", limit, state=state, kind=kind)
    table = new_table(("Written", "Subject", "Address", "State", "Answer", "Id"), unbroken=["Id"])
    for mail in items:
        for to in mail["to"]:
            stands = (to["address"], to["state"].replace("_", " "), to["answer"])
            add_row(table, moment(mail["created_at"]), mail["subject"], *stands, mail["mail_id"])
    print_list(items, more, table, "There are no mails.", as_json=as_json)


@mails.command("retry")
@api_command
def retry(
    client: Client,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """Send mails again that were given up. What bounced is sent again with its bill, once the address is right."""
    answer = client.post("/api/mails/retry", {"ids": ids} if ids else {})
    if as_json:
        print_json(answer)
    else:
        console().print(f"{len(answer['retried'])} mails are tried again.")
