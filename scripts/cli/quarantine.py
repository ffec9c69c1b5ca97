"""`leadger quarantine` and `leadger dead-letters`: leads that are not decided, to look at and to try again."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    follow_task,
    moment,
    new_table,
    print_json,
    print_list,
    some_pages,
)
from scripts.errors import CannotStart

quarantine = typer.Typer(help="Leads that were accepted and cannot be billed yet.", no_args_is_help=True)
dead_letters = typer.Typer(help="Leads that could not be decided because of an error.", no_args_is_help=True)

Ids = Annotated[str | None, typer.Option(metavar="1,2,3", help="Only these numbers of the list; default: all.")]


@quarantine.command("list")
@api_command
def list_quarantine(
    client: Client,
    reason: Annotated[str | None, typer.Option(help="Only this reason, like unknown_product or conflict.")] = None,
    state: Annotated[str, typer.Option(help="open, decided, superseded or discarded.")] = "open",
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List leads in quarantine, oldest first, each with the reason.

    A lead leaves the quarantine by itself once its product and customer exist. A conflict leaves when the lead comes
    again as it is on record, or when it is discarded.
    """
    items, more = some_pages(client, "/api/quarantine", limit, reason=reason, state=state)
    table = new_table(("No.", "Lead", "Customer", "Product", "Reason", "Detail", "Received"), right=("No.",))
    for each in items:
        lead = each["lead_id"] + (f" from {each['source']}" if each["source"] else "")
        names = (each["customer"], each["product"], each["reason"].replace("_", " "), each["detail"])
        add_row(table, each["id"], lead, *names, moment(each["received_at"]))
    print_list(items, more, table, "The quarantine is empty.", as_json=as_json)


@quarantine.command("retry")
@api_command
def retry_quarantine(client: Client, ids: Ids = None, as_json: Json = False) -> None:
    """Decide quarantined leads again; those that still cannot be billed stay where they are."""
    accepted = client.post("/api/quarantine/retry", {"ids": _numbers(ids)})
    result = follow_task(client, accepted, "Deciding the quarantine")
    if as_json:
        print_json(result)
    else:
        console().print(f"{result['released']:,} of {result['of']:,} leads left the quarantine.")


@quarantine.command("discard")
@api_command
def discard(
    client: Client,
    ids: Annotated[str, typer.Option(metavar="1,2,3", help="Numbers of the list.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why they are not to be decided; it is kept.")],
    as_json: Json = False,
) -> None:
    """Let quarantined leads go undecided; who did it, when and why is kept (`list --state discarded`)."""
    result = client.post("/api/quarantine/discard", {"ids": _numbers(ids), "reason": reason})
    if as_json:
        print_json(result)
        return
    left = f"; {len(result['not_open']):,} were not open" if result["not_open"] else ""
    console().print(f"{result['discarded']:,} leads were discarded{left}.")


@dead_letters.command("list")
@api_command
def list_dead_letters(client: Client, limit: Limit = 100, as_json: Json = False) -> None:
    """List dead letters, oldest first, each with its error."""
    items, more = some_pages(client, "/api/quarantine/dead-letters", limit)
    table = new_table(("No.", "Lead", "Batch", "Error", "Since"), right=("No.",))
    for each in items:
        add_row(table, each["id"], each["lead"], each["batch_id"], each["error"], moment(each["created_at"]))
    print_list(items, more, table, "There are no dead letters.", as_json=as_json)


@dead_letters.command("retry")
@api_command
def retry_dead_letters(client: Client, ids: Ids = None, as_json: Json = False) -> None:
    """Put dead letters back among the leads that wait."""
    retried, of, after = 0, None, None
    while of is None or after is not None:
        answer = client.post("/api/quarantine/dead-letters/retry", {"ids": _numbers(ids), "after": after})
        retried, after = retried + answer["retried"], answer["next"]
        of = answer["of"] if of is None else of
    if as_json:
        print_json({"retried": retried, "of": of})
    else:
        console().print(f"{retried:,} of {of:,} leads wait again to be decided.")


def _numbers(ids: str | None) -> list[int] | None:
    if ids is None:
        return None
    try:
        return [int(number) for number in ids.split(",") if number.strip()]
    except ValueError:
        raise CannotStart(f"--ids takes numbers of the list, like 1,2,3, and not {ids!r}.") from None
