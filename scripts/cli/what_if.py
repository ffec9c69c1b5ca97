"""`leadger what-if`: what would have been billed with other settings."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, follow_task, new_table, note, print_json, some_pages

_FIGURES = ("Before", "After", "Difference")


@api_command
def what_if(
    client: Client,
    partners: Annotated[list[str], typer.Argument(metavar="PARTNER…", help="The partners' ids.")],
    start: Annotated[str, typer.Option("--from", metavar="MONTH", help="The first month, like 2024-04.")],
    end: Annotated[str, typer.Option("--to", metavar="MONTH", help="The last month.")],
    cap: Annotated[str | None, typer.Option(help="Another cap, like 80.00, or `none`.")] = None,
    window: Annotated[str | None, typer.Option(help="Another window: forever, period, or days like 30.")] = None,
    rates: Annotated[
        list[str] | None,
        typer.Option("--rate", metavar="NAME=VALUE,…,AMOUNT", help="A price, like engagement_level=High,12.00."),
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Say what would have been billed with other prices, another cap or another duplicate window; nothing changes."""
    body: dict[str, Any] = {"partners": partners, "from": start, "to": end, "rates": list(map(_rate, rates or []))}
    if cap is not None:
        body["cap"] = None if cap == "none" else cap
    if window is not None:
        body["dedup_window"] = int(window) if window.isdigit() else window
    started = client.post("/api/what-if", body)
    result = follow_task(client, started, "Judging by other settings")
    items, more = some_pages(client, f"/api/what-if/{started['task_id']}", limit)
    if as_json:
        print_json({"sums": result["sums"], "items": items, "more": more})
        return
    if items:
        table = new_table(("Partner", "Month", "Customer", *_FIGURES, "Currency"), right=_FIGURES)
        for each in items:
            add_row(table, each["partner"], each["period"], each["customer"], *_figures(each), each["currency"])
        console().print(table)
    if more:
        note(f"There are more than these {len(items)}; --limit 0 prints all.")
    table = new_table(("Partner", *_FIGURES, "Currency"), right=_FIGURES)
    for each in result["sums"]:
        add_row(table, each["partner"], *_figures(each), each["currency"])
    console().print(table)
    note("Nothing was changed.")


def _figures(each: dict[str, Any]) -> tuple[str, str, str]:
    return each["before"], each["after"], each["difference"]


def _rate(text: str) -> dict[str, str | None]:
    *named, amount = text.split(",")
    conditions: dict[str, str | None] = dict(each.strip().partition("=")[::2] for each in named)
    return conditions | {"amount": None if amount.strip() == "none" else amount.strip()}
