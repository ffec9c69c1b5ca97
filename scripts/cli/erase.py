"""`leadger erase`: a person who wants to be forgotten."""

from typing import Annotated
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, console, follow_task, print_json
from scripts.errors import CannotStart


@api_command
def erase(
    client: Client,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The customer's id, or an alias, as it was sent.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person: name, e-mail and ids as they were spelled, also in what callers sent and in report files.

    Every sum, verdict and digest stays. The key stays, too: leads with the same customer id go on to mean the same,
    unnamed person. It cannot be undone; after restoring an older backup it has to be done again.
    """
    found = client.get(f"/api/customers/{quote(person, safe='')}")
    if not yes and not typer.confirm(f"Erase {found['name']} ({found['email']}) for ever?", err=True):
        raise CannotStart("Nothing was erased.")
    accepted = client.post(f"/api/customers/{quote(person, safe='')}/erase", {})
    result = follow_task(client, accepted, "Erasing")
    if as_json:
        print_json(result)
    else:
        changed = f"{result['rows']:,} requests and {result['files']:,} report files had named them"
        console().print(f"{found['customer_id']} has no name any more; {changed}.", soft_wrap=True, markup=False)
