"""`leadger reconcile`: a partner's own list of a month against what is billed."""

from pathlib import Path
from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, follow_task, new_table, note, print_json, some_pages
from scripts.errors import CannotStart

_PARTS = {
    "matched": "alike",
    "missing_here": "missing here",
    "missing_there": "missing in the file",
    "different": "different",
}


@api_command
def reconcile(
    client: Client,
    file: Annotated[
        Path, typer.Argument(help="A CSV file with action_id, lead_id, or email and day; and an amount in each row.")
    ],
    partner: Annotated[str, typer.Option(metavar="ID", help="Whose list it is.")],
    period: Annotated[str, typer.Option(metavar="PERIOD", help="Its month, like 2024-04.")],
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Compare a partner's own list of leads with what is billed: missing here, missing there, other amounts."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CannotStart(f"{file} cannot be read: {error.strerror}.") from None
    query = {"partner": partner, "period": period}
    headers = {"Content-Type": "text/csv"}
    started = client.send("POST", "/api/reconciliations", content=content, headers=headers, params=query).json()
    follow_task(client, started, "Comparing")
    path = f"/api/reconciliations/{started['task_id']}"
    found = client.get(path)
    rows = {part: some_pages(client, f"{path}/rows", limit, part=part) for part in _PARTS if part != "matched"}
    if as_json:
        shown = {part: found[part] | ({"rows": rows[part][0]} if part in rows else {}) for part in _PARTS}
        print_json(found | shown)
        return
    sums = new_table(("", "Count", "Amount"), right=("Count", "Amount"))
    for part, words in _PARTS.items():
        add_row(sums, words, found[part]["count"], found[part]["amount"])
    console().print(sums)
    for part, (items, more) in rows.items():
        if items:
            table = new_table(("Line", "Lead", "Action", "Customer", "Day", "File", "Billed"), right=("File", "Billed"))
            for each in items:
                names = each["line"], each["lead_id"], each["action"], each["customer"], each["day"]
                add_row(table, *names, each["theirs"], each["ours"])
            console().print(f"\n{_PARTS[part].capitalize()}:")
            console().print(table)
        if more:
            note(f"There are more than these {len(items)}; --limit 0 prints all.")
