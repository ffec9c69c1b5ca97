"""`leadger held`: actions that are held, and what becomes of them."""

from typing import Annotated, Any
from uuid import UUID

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, OnlyPeriod
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

held = typer.Typer(help="Held actions: list them, release or confirm them.", no_args_is_help=True)

_AT_ONCE = 500

Rule = Annotated[str | None, typer.Option(help="Only what this fraud rule holds.")]
Actions = Annotated[list[UUID] | None, typer.Argument(metavar="[ACTION]…", help="Actions by their UUIDs.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it becomes part of the explanation.")]


@held.command("list")
@api_command
def list_held(
    client: Client,
    partner: OnlyPartner = None,
    period: OnlyPeriod = None,
    rule: Rule = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List held actions with the rule that found them, its score and its facts."""
    only = {"partner": partner, "period": period, "rule": rule}
    items, more = some_pages(client, "/api/held", limit, **only)
    table = new_table(
        ("Partner", "Action", "Type", "Value", "Rule", "Score", "Facts"), right=("Value", "Score"), unbroken=["Action"]
    )
    for each in items:
        action, facts = each["action"], each["facts"] or {}
        said = ", ".join(f"{name} {fact}" for name, fact in facts.items() if not name.startswith("limit_"))
        value = f"{each['value']} {each['currency']}"
        shown = each["rule"] or "a person", each["score"], said or each["reason"]
        add_row(table, action["partner"], action["action_id"], action["action_type"], value, *shown)
    print_list(items, more, table, "Nothing is held.", as_json=as_json)
    for each in client.get("/api/held", limit=1, **only)["at_risk"]:
        note(f"{each['actions']:,} held actions are worth {each['value']} {each['currency']}.")


def _command(decision: str, verb: str, explanation: str) -> None:
    """Add the command by which such a decision is made."""

    @held.command(decision, help=explanation)
    @api_command
    def decide(
        client: Client,
        reason: Reason,
        actions: Actions = None,
        partner: OnlyPartner = None,
        period: OnlyPeriod = None,
        rule: Rule = None,
        as_json: Json = False,
    ) -> None:
        only = {"partner": partner, "period": period, "rule": rule}
        answers = _decided(client, decision, reason, actions or [], only)
        if as_json:
            print_json(answers)
            return
        refused = [each for each in answers if each["status"] != 200]
        for each in refused:
            note(f"{each['action']}: {each['detail']}")
        console().print(f"{len(answers) - len(refused):,} actions are {verb}.")


_command(
    "release",
    "released",
    "Release held actions for good: they count again, and no fraud rule holds them any more.",
)
_command(
    "confirm",
    "confirmed and returned",
    "Confirm that held actions are fraud: they are returned, and never billed.",
)


def _decided(
    client: Client, decision: str, reason: str, actions: list[UUID], only: dict[str, str | None]
) -> list[dict[str, Any]]:
    named = {name: value for name, value in only.items() if value is not None}
    if bool(actions) == bool(named):
        raise CannotStart("Name actions, or say which ones by --partner, --period or --rule; one of both.")
    ids = [str(each) for each in actions]
    if named:
        ids = [each["action"]["action_id"] for each in client.pages("/api/held", limit=_AT_ONCE, **named)]
    answers = []
    for start in range(0, len(ids), _AT_ONCE):
        body = {"actions": ids[start : start + _AT_ONCE], "decision": decision, "reason": reason}
        answers += client.post("/api/held/decide", body)["items"]
    return answers
