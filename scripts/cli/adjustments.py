"""`leadger adjustments`: amounts that Finance adds to a partner's month or takes off."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, OnlyPeriod, Partner, Period
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, moment, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

_NO_TAX = "none"

adjustments = typer.Typer(
    help="Adjustments: amounts that are added to a month or taken off, with a reason.", no_args_is_help=True
)


@adjustments.command("add", context_settings={"ignore_unknown_options": True})  # else -2.50 would be an option
@api_command
def add(
    client: Client,
    partner: Partner,
    period: Period,
    amount: Annotated[str, typer.Argument(help="How much before tax, like 30.00, or -2.50 to take off.")],
    text: Annotated[str, typer.Option("--text", help="What the line of the bill says.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is printed on the bill, too.")],
    tax: Annotated[
        str | None,
        typer.Option("--tax", metavar="CATEGORY=RATE", help="Like S=20.00, or none; else as the terms say."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add an amount to a month, or take one off, until its bill is issued.

    A draft takes it over at once; a closed month without a bill gets one.
    """
    body = {"partner": partner, "period": period, "text": text, "amount": amount, "reason": reason}
    entered = client.post("/api/adjustments", body | _own_tax(tax), repeatable=False)
    if as_json:
        print_json(entered)
        return
    figure = f"{entered['amount']} {entered['currency']}"
    console().print(f"{partner} has an adjustment of {figure} in {period}: {text}.", markup=False, soft_wrap=True)
    note(f"It is taken back with `leadger adjustments take-back {entered['adjustment_id']}`.")


@adjustments.command("list")
@api_command
def list_adjustments(
    client: Client,
    partner: OnlyPartner = None,
    period: OnlyPeriod = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List adjustments with who entered them, the newest first; those that were taken back say so."""
    items, more = some_pages(client, "/api/adjustments", limit, partner=partner, period=period)
    table = new_table(
        ("Partner", "Month", "What", "Amount", "Reason", "Entered by", "Taken back", "Id"),
        right=("Amount",),
        unbroken=["Id"],
    )
    for each in items:
        taken_back = each["taken_back_at"] and moment(each["taken_back_at"])
        said = (each["text"], f"{each['amount']} {each['currency']}", each["reason"])
        who = each["entered_by"]["name"]
        add_row(table, each["partner"], each["period"], *said, who, taken_back, each["adjustment_id"])
    print_list(items, more, table, "There are no adjustments.", as_json=as_json)


@adjustments.command("take-back")
@api_command
def take_back(
    client: Client,
    adjustment_id: Annotated[str, typer.Argument(metavar="ID", help="The adjustment's id.")],
    as_json: Json = False,
) -> None:
    """Take an adjustment back, until the bill of its month is issued; it stays on record."""
    client.delete(f"/api/adjustments/{adjustment_id}")
    if as_json:
        print_json({"adjustment_id": adjustment_id, "taken_back": True})
    else:
        console().print(f"Adjustment {adjustment_id} is taken back.", markup=False, soft_wrap=True)


def _own_tax(text: str | None) -> dict[str, Any]:
    """The tax of the adjustment itself; nothing leaves it to the terms."""
    if text is None:
        return {}
    if text == _NO_TAX:
        return {"tax": None}
    category, equals, rate = text.partition("=")
    if not equals:
        raise CannotStart(f"--tax takes a category and a rate, like S=20.00, or {_NO_TAX}, and not {text!r}.")
    return {"tax": {"category": category, "rate": rate}}
