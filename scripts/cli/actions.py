"""`leadger hold`, `release`, `return` and `correct`: a person's decision about one action."""

from typing import Annotated, Any
from uuid import UUID

import typer

from scripts.cli.connection import api_command
from scripts.cli.explain import print_action
from scripts.client import Client, ClientError
from scripts.console import Json, console, print_json

Action = Annotated[UUID, typer.Argument(metavar="ACTION", help="The action's UUID; `leadger lead` shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it becomes part of the explanation.")]


@api_command
def hold(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Put an action on hold: until it is released it is not billed, and others are decided as if it were not there."""
    _change(client, action, "hold", reason, as_json)


@api_command
def release(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Let a held action count again, or one that was returned in a month that is still open."""
    _change(client, action, "release", reason, as_json)


@api_command
def return_action(client: Client, action: Action, reason: Reason, as_json: Json = False) -> None:
    """Take an action back: in an open month it is no longer billed, in a closed one it is credited once."""
    _change(client, action, "return", reason, as_json)


@api_command
def correct(
    client: Client,
    action: Action,
    reason: Reason,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="The right level: High, Medium or Low.")] = None,
    action_type: Annotated[str | None, typer.Option("--type", metavar="TEXT", help="The right action type.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="The right instant, like 2024-04-01T09:00:00Z.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Correct a wrong action: it is returned, and the right one is judged in its place.

    Where a lead came again with another level or type, `leadger batch` and `leadger ingest` name both actions.
    """
    right = {"engagement_level": level, "action_type": action_type, "occurred_at": at}
    named = {name: value for name, value in right.items() if value is not None}
    if not named:
        raise ClientError("Say what is right: --level, --type or --at.")
    _change(client, action, "correct", reason, as_json, named)


def _change(
    client: Client, action: UUID, verb: str, reason: str, as_json: bool, more: dict[str, Any] | None = None
) -> None:
    changed = client.post(f"/api/actions/{action}/{verb}", {"reason": reason, **(more or {})}, repeatable=False)
    if as_json:
        print_json(changed)
    else:
        print_action(changed, console())
