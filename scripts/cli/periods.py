"""`leadger rebuild`, `close` and `reopen`: one partner's month as a whole."""

import re
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, add_row, console, follow_task, new_table, outcome, print_json
from scripts.errors import CannotStart

Partner = Annotated[str, typer.Argument(help="The partner's id.")]
Period = Annotated[str, typer.Argument(metavar="PERIOD", help="The month, like 2024-04.")]


@api_command
def rebuild(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Re-evaluate a partner's month from its stored actions, correct what differs and say what did.

    Nothing should ever differ; verdicts of a closed month are frozen, of it only the counters are counted again.
    """
    accepted = client.post("/billing/reports/rebuild", {"partner": partner, "period": month(period)})
    result = follow_task(client, accepted, f"Rebuilding {partner} {period}")
    if as_json:
        print_json(result)
        return
    corrected = result["verdicts_corrected"], result["counters_corrected"]
    console().print(
        f"{result['customers']:,} customers and {result['actions']:,} actions were re-evaluated; "
        + (
            "nothing differed."
            if corrected == (0, 0)
            else f"{corrected[0]:,} verdicts and {corrected[1]:,} counters were corrected."
        ),
        soft_wrap=True,
    )
    _print_differences(result["differences"], corrected[0])


@api_command
def close(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Close a partner's month: once everything accepted before is decided, its verdicts are frozen.

    The month must have ended, and every earlier one must be closed. While the workers are paused, nothing is decided,
    and so closing waits for `leadger resume` if it waits for leads.
    """
    result = _change(client, partner, period, "close")
    if as_json:
        print_json(result)
    else:
        version = result["report_version"]
        console().print(
            f"{partner} {period} is closed"
            + (f"; its report is version {version}." if version else "; its report was written before."),
            markup=False,
            soft_wrap=True,
        )


@api_command
def reopen(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Open a partner's newest closed month again, if it is not billed; its actions are re-evaluated."""
    result = _change(client, partner, period, "reopen")
    if as_json:
        print_json(result)
    else:
        console().print(
            f"{partner} {period} is open again; {result['customers']:,} customers were re-evaluated.",
            markup=False,
            soft_wrap=True,
        )


def month(text: str) -> str:
    """A month as typed; raises CannotStart if it is none."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise CannotStart(f"A period is a month like 2024-04, and not {text!r}.")
    return text


def _change(client: Client, partner: str, period: str, verb: str) -> dict[str, Any]:
    path = f"/api/partners/{quote(partner, safe='')}/periods/{month(period)}/{verb}"
    accepted = client.post(path, repeatable=False)
    return follow_task(client, accepted, f"{'Closing' if verb == 'close' else 'Reopening'} {partner} {period}")


def _print_differences(differences: list[dict[str, Any]], corrected: int) -> None:
    if not differences:
        return
    table = new_table(
        ("Action", "Was", "Billed", "Is", "Billed now"), right=("Billed", "Billed now"), unbroken=["Action"]
    )
    for each in differences:
        was, now = each["was"], each["is"]
        add_row(
            table, each["action_id"], outcome(was["outcome"]), was["billed"], outcome(now["outcome"]), now["billed"]
        )
    console().print(table)
    if corrected > len(differences):
        console().print(f"These are the first {len(differences)} of {corrected:,}.")
