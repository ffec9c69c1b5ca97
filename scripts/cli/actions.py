"""`leadger hold`, `release` and `return`: a person's decision about one action."""

from typing import Annotated
from uuid import UUID

import typer

from scripts.cli.connection import api_command
from scripts.cli.explain import print_action
from scripts.client import Client
from scripts.console import Json, console, print_json

Action = Annotated[UUID, typer.Argument(metavar="ACTION", help="The action's UUID; `leadger lead` shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it becomes part of the explanation.")]


@api_command
def hold(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Put an action on hold: until it is released it is not billed, and others are decided as if it were not there."""
    _change(client, action, "hold", reason, as_json)


@api_command
def release(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Let a held action count again."""
    _change(client, action, "release", reason, as_json)


@api_command
def return_action(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Take an action back: in an open month it is no longer billed, in a closed one it is credited once."""
    _change(client, action, "return", reason, as_json)


def _change(client: Client, action: UUID, verb: str, reason: str, as_json: bool) -> None:
    changed = client.post(f"/api/actions/{action}/{verb}", {"reason": reason}, repeatable=False)
    if as_json:
        print_json(changed)
    else:
        print_action(changed, console())
