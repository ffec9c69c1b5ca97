"""`leadger audit`: who changed what."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, moment, new_table, print_list, some_pages


@api_command
def audit(
    client: Client,
    who: Annotated[str | None, typer.Option(help="Only what this person or key did, by name or id.")] = None,
    what: Annotated[str | None, typer.Option(help="Only this, like rate.changed, or all of an area: rate.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="A day or an instant; a day begins in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Before this day or instant.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List who changed what, the newest first. Needs a key with the scope admin."""
    items, more = some_pages(client, "/api/audit", limit, **{"who": who, "what": what, "from": start, "to": end})
    table = new_table(("When", "Who", "What", "Subject", "Before", "After"), (), ["What", "Subject"])
    for each in items:
        who_did = each["who"]["name"]
        facts = _facts(each["before"]), _facts(each["after"])
        add_row(table, moment(each["at"]), who_did, each["what"], each["subject"], *facts)
    print_list(items, more, table, "There are no such lines.", as_json=as_json)


def _facts(facts: dict[str, Any] | None) -> str | None:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None) if facts else None
