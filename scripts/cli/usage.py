"""`leadger usage`: units that others count, which bills charge above a limit."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    moment,
    new_table,
    print_json,
    print_list,
    some_pages,
)

usage = typer.Typer(help="Usage: units that bills charge above a limit.", no_args_is_help=True)


@usage.command("set")
@api_command
def set_usage(
    client: Client,
    partner: Annotated[str, typer.Argument(help="The partner's id.")],
    month: Annotated[str, typer.Argument(help="The month, like 2024-04.")],
    units: Annotated[int, typer.Argument(help="How many.")],
    source: Annotated[str, typer.Option(help="Who counts.")] = "api",
    name: Annotated[str, typer.Option(help="The entry's own key within partner, month and source.")] = "total",
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of other units under the key.")] = False,
    as_json: Json = False,
) -> None:
    """Enter units of a partner's month; the same again changes nothing."""
    body = {"partner": partner, "period": month, "source": source, "key": name, "units": units, "replace": replace}
    entered = client.post("/api/usage", body)
    if as_json:
        print_json(entered)
    else:
        console().print(f"{partner} has {units:,} units of {entered['source']} {name} in {month}.", markup=False)


@usage.command("list")
@api_command
def list_usage(
    client: Client,
    partner: Annotated[str | None, typer.Option(metavar="ID", help="Only this partner's.")] = None,
    month: Annotated[str | None, typer.Option(help="Only this month's, like 2024-04.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from here.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also what was replaced.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List usage by partner, month, source and key, with who entered it."""
    only = {"partner": partner, "period": month, "source": source, "history": "true" if history else None}
    items, more = some_pages(client, "/api/usage", limit, **only)
    table = new_table(("Partner", "Month", "Source", "Key", "Units", "Entered by", "At"), right=("Units",))
    for each in items:
        who = each["entered_by"] and each["entered_by"]["name"]
        figures = (each["period"], each["source"], each["key"], f"{each['units']:,}")
        add_row(table, each["partner"], *figures, who, moment(each["entered_at"]))
    print_list(items, more, table, "There is no usage.", as_json=as_json)
