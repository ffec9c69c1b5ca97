"""`leadger rebuild`, `close` and `reopen`: one partner's month as a whole."""

import re
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner, Period
from scripts.client import Client
from scripts.console import Json, add_row, console, follow_task, new_table, note, outcome, print_json
from scripts.errors import CannotStart


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
def close(
    client: Client,
    partner: Partner,
    period: Annotated[str | None, typer.Argument(metavar="[PERIOD]", help="The month, like 2024-04.")] = None,
    through: Annotated[
        str | None, typer.Option(metavar="PERIOD", help="Instead of one month: every open one through this one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whatever is not billed yet.")] = False,
    as_json: Json = False,
) -> None:
    """Close a partner's month: once everything accepted before is decided, its verdicts are frozen.

    The month must have ended, and every earlier one must be closed. What was accepted for it and is not billed is named
    before: quarantined leads and dead letters would be billed in a later month; held actions move to the next one.
    While the workers are paused, nothing is decided, and so closing waits for `leadger resume` if it waits for leads.
    """
    if (period is None) == (through is None):
        raise CannotStart("Name one month, or --through the last one to close.")
    last = month(period or through or "")
    _warn(client, partner, last, with_earlier=through is not None, ask=not yes)
    if through:
        path = f"/api/partners/{quote(partner, safe='')}/periods/close"
        accepted = client.post(path, {"through": last}, repeatable=False)
        result = follow_task(client, accepted, f"Closing {partner} through {last}")
    else:
        result = _change(client, partner, last, "close")
    if as_json:
        print_json(result)
    else:
        _print_closed(partner, result)


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


def _warn(client: Client, partner: str, period: str, *, with_earlier: bool, ask: bool) -> None:
    """Name what was accepted for a month and is not billed; ends the command where a person does not want to go on."""
    path = f"/api/partners/{quote(partner, safe='')}/periods/{period}"
    shown = client.get(path, with_earlier="true" if with_earlier else None)
    if shown["closed"]:
        return  # the refusal says so
    left, which = shown["undecided"], f"through {period}" if with_earlier else f"of {period}"
    if left["waiting"]:
        note(f"{left['waiting']:,} leads wait to be decided; closing waits for them.")
    if left["held"]:
        note(f"{left['held']:,} actions {which} are held; they move to the next month.")
    if shown["after_end"]:
        note(f"{shown['after_end']:,} actions of {period} are after the end of the contract, and are billed.")
    late = name_undecided(left, which)
    if late and ask and sys.stdin.isatty() and not typer.confirm(f"Close {partner} {period} without them?", err=True):
        raise typer.Exit(1)


def name_undecided(left: dict[str, Any], which: str) -> bool:
    """Name the leads of the months that would be billed later than in them; says whether there are any."""
    if not left["complete"]:
        note("Only the first 10,000 rows of each kind were looked through; there may be more than is named here.")
    late = [
        (left["quarantined"], "in quarantine: leadger quarantine list"),
        (left["unknown_product"], "in quarantine and of a product that nobody knows: leadger quarantine list"),
        (left["dead_letters"], "dead letters: leadger dead-letters list"),
    ]
    for count, where in late:
        if count:
            note(f"{count:,} leads {which} are {where}. Once decided they are billed in a later month.")
    return any(count for count, _ in late)


def _print_closed(partner: str, result: dict[str, Any]) -> None:
    periods, currency = result["periods"], result["currency"]
    if not periods:
        console().print(f"Nothing was open: {partner} was closed before.", markup=False)
    for each in periods[-1:]:
        console().print(
            f"{partner} {each['period']} is closed: {each['billed']} {currency} billed, {each['credited']} credited, "
            f"{each['net']} net"
            + (f"; its report is version {result['report_version']}." if result["report_version"] else "."),
            markup=False,
            soft_wrap=True,
        )
    if "files_error" in result:
        console().print(
            f"Its report is not written yet, and will be tried again: {result['files_error']}",
            markup=False,
            soft_wrap=True,
        )
    if len(periods) > 1:
        table = new_table(("Month", "Billed", "Credited", "Net"), right=("Billed", "Credited", "Net"))
        for each in periods:
            add_row(table, each["period"], each["billed"], each["credited"], each["net"])
        console().print(table)
