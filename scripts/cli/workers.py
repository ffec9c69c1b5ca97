"""`leadger pause`, `resume` and `stuck`: the workers, and what waits for them for too long."""

from typing import Annotated, Any

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
    note,
    print_json,
    print_list,
    some_pages,
)

stuck = typer.Typer(help="Batches that wait to be decided for too long, and why.", no_args_is_help=True)

OlderThan = Annotated[
    float, typer.Option("--older-than", min=0, metavar="SECONDS", help="What has waited for longer than this.")
]


@api_command
def pause(
    client: Client,
    reason: Annotated[str, typer.Argument(help="Why, for whoever wonders that nothing is decided.")],
    as_json: Json = False,
) -> None:
    """Have the workers decide no more leads, once each has ended the batch at hand; leads are accepted as ever.

    The pause is kept in the database: it holds until `leadger resume`, whatever is restarted or emptied meanwhile.
    Closing a month waits for the end of the pause if leads accepted before it wait, and so does `quarantine retry`;
    rebuilds, re-evaluations and reports go on. Needs a key with the scope admin.
    """
    shown = client.post("/api/workers/pause", {"reason": reason})
    if as_json:
        print_json(shown)
    elif shown["pause"]["reason"] == reason:
        note("The workers are paused; leads are accepted and wait until `leadger resume`.")
    else:
        note(f"The workers were paused before, {_since(shown['pause'])}; that pause stands.")


@api_command
def resume(client: Client, as_json: Json = False) -> None:
    """End the pause: what waits is decided, oldest first. Needs a key with the scope admin."""
    before = client.get("/api/workers")["pause"]
    shown = client.post("/api/workers/resume")
    if as_json:
        print_json(shown)
    elif before:
        note(f"The workers go on; they were paused {_since(before)}.")
    else:
        note("The workers were not paused.")


@stuck.command("list")
@api_command
def list_stuck(client: Client, older_than: OlderThan = 60, limit: Limit = 100, as_json: Json = False) -> None:
    """List parts of batches that wait for too long, oldest first, each with what keeps it from being decided.

    A lead that no worker can decide is not here but among the dead letters: see `leadger dead-letters list`.
    """
    items, more = some_pages(client, "/api/workers/stuck", limit, older_than_s=older_than)
    right = ("Part", "Leads", "Waits for")
    table = new_table(("Batch", "Part", "Leads", "Received", "Waits for", "Request", "Why"), right, unbroken=["Batch"])
    for each in items:
        received, waits = moment(each["received_at"]), f"{each['waited_s']:,.0f} s"
        names = each["batch_id"], each["part"], each["leads"], received, waits
        add_row(table, *names, each["request_id"], each["why"])
    print_list(items, more, table, f"Nothing has waited for more than {older_than:g} s.", as_json=as_json)


@stuck.command("retry")
@api_command
def retry_stuck(client: Client, older_than: OlderThan = 60, as_json: Json = False) -> None:
    """Notify the workers of what waits, in case nobody did; what is locked stays stuck; `stuck list` says by whom."""
    result = client.post("/api/workers/stuck/retry", older_than_s=older_than)
    if as_json:
        print_json(result)
    else:
        console().print(f"The workers were notified of {result['notified_for']:,} parts of batches.")


def _since(pause: dict[str, Any]) -> str:
    return f"since {moment(pause['paused_at'])} by {pause['paused_by']}: {pause['reason']}"
