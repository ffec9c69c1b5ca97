"""`leadger replay`: an issued bill again, from everything that it was made from."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, console, follow_task, print_json
from scripts.errors import CannotStart


@api_command
def replay(
    client: Client,
    bill: Annotated[str, typer.Argument(metavar="BILL", help="The number of a bill or a credit note, like ACME-0007.")],
    as_json: Json = False,
) -> None:
    """Make a bill again from leads, rates, terms and usage as they were, and compare lines, tax and totals.

    Status 1 and the first difference if it is not the same. Nothing is changed.
    """
    found = client.get("/api/bills", number=bill)["items"]
    if not found:
        raise CannotStart(f"There is no bill {bill}.")
    accepted = client.post(f"/api/bills/{found[0]['bill_id']}/replay", {})
    difference = follow_task(client, accepted, f"Replaying {bill}")["difference"]
    if as_json:
        print_json({"equal": difference is None, "difference": difference, "number": bill})
        raise typer.Exit(0 if difference is None else 1)
    if difference:
        raise CannotStart(f"{bill} is not what its replay gives: {difference}.")
    console().print(f"{bill} is what leads, rates, terms and usage give: every line, tax and total.", markup=False)
