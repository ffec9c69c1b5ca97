"""`leadger billing`: the monthly billing of all partners or some, and how it is getting on."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from billing.periods import previous_period, text_from_period
from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner, Period
from scripts.cli.periods import month
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    follow_task,
    moment,
    new_table,
    note,
    print_json,
    print_list,
    some_pages,
)
from scripts.errors import CannotStart

billing = typer.Typer(help="The monthly billing: closes months, makes and submits their bills.", no_args_is_help=True)

_RUNS = "/api/billing-scheduler"
_RETRIED_AT_ONCE = 10_000

DryRun = Annotated[bool, typer.Option("--dry-run", help="Compute and show everything, and write nothing.")]
Month = Annotated[
    str | None, typer.Option("--period", metavar="PERIOD", help="The month, like 2024-04; by default last month.")
]


@billing.command("process")
@api_command
def process(
    client: Client,
    partners: Annotated[list[str] | None, typer.Argument(help="Their ids; by default everybody.")] = None,
    shop_ids: Annotated[
        str | None, typer.Option("--shop-ids", metavar="A,B", help="The same, separated by commas.")
    ] = None,
    period: Month = None,
    previous_month: Annotated[bool, typer.Option("--previous-month", help="Last month, which is the default.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bill a month, and what of the months before it has no bill. Status 1 if something failed."""
    if period and previous_month:
        raise CannotStart("--period and --previous-month name two months; leave one out.")
    named = [*(partners or []), *(each.strip() for each in (shop_ids or "").split(",") if each.strip())]
    body = {"shop_ids": named or None, "period": _month(period), "dry_run": dry_run, "trigger_source": "cli"}
    started = client.post(f"{_RUNS}/process-monthly-billing", body, repeatable=False)
    _follow(client, started, dry_run, as_json)


@billing.command("test")
@api_command
def try_one(
    client: Client, partner: Partner, period: Month = None, dry_run: DryRun = True, as_json: Json = False
) -> None:
    """Try the billing of one partner: all is computed and shown, and nothing is written."""
    body = {"shop_ids": [partner], "period": _month(period), "dry_run": dry_run, "trigger_source": "cli"}
    _follow(client, client.post(f"{_RUNS}/process-monthly-billing", body), dry_run, as_json)


@billing.command("status")
@api_command
def status(
    client: Client,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Its id, for all of its results.")] = None,
    as_json: Json = False,
) -> None:
    """Show the last runs, or one with what became of every partner's month."""
    found = _with_results(client, run) if run else client.get(f"{_RUNS}/status")
    if as_json:
        print_json(found)
    elif run:
        _print_run(found["runs"][0])
    else:
        _print_runs(found)


@billing.command("dead-letters")
@api_command
def list_dead_letters(client: Client, limit: Limit = 100, as_json: Json = False) -> None:
    """List the months that failed three times and have no bill, the newest first; only a person retries one."""
    items, more = some_pages(client, f"{_RUNS}/dead-letters", limit)
    table = new_table(("Id", "Partner", "Month", "Attempts", "Error", "Since"), right=("Attempts",), unbroken=("Id",))
    for each in items:
        when = moment(each["failed_at"])
        add_row(table, each["id"], each["partner"], each["period"], each["attempts"], each["error"], when)
    print_list(items, more, table, "There are no dead letters of runs.", as_json=as_json)


@billing.command("retry")
@api_command
def retry_dead_letters(
    client: Client,
    ids: Annotated[
        list[UUID] | None, typer.Argument(metavar="[ID]…", help="Their ids, as the list shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the list shows.")] = False,
    as_json: Json = False,
) -> None:
    """Bill dead letters again, and the later months of their partners that wait behind them."""
    if bool(ids) == everything:
        raise CannotStart("Name dead letters by their ids, or all of them by --all; one of both.")
    named = [str(each) for each in ids or []]
    if everything:
        named = [each["id"] for each in client.pages(f"{_RUNS}/dead-letters", limit=500)]
    runs: list[str] = []
    for start in range(0, len(named), _RETRIED_AT_ONCE):
        body = {"ids": named[start : start + _RETRIED_AT_ONCE]}
        runs += client.post(f"{_RUNS}/retry", body)["runs"]
    if as_json:
        print_json({"runs": runs})
    elif runs:
        console().print(f"They are billed again by run {', '.join(runs)}.", soft_wrap=True)
    else:
        note("Nothing of it is a dead letter now.")


@billing.command("check")
@api_command
def check(client: Client, period: Month = None, limit: Limit = 0, as_json: Json = False) -> None:
    """Show what would surprise later: look at it before the month closes. Partners without findings are left out."""
    path, asked = f"{_RUNS}/pre-close", _month(period)
    of_everybody = client.get(path, period=asked, limit=1)["of_everybody"]
    items, more = some_pages(client, path, limit, period=asked)
    found = [each for each in items if not each["is_fine"]]
    names = ("waiting", "quarantined", "held", "stale", "dead_letters", "after_end")
    headings = ("Partner", "Waiting", "Quarantined", "Held", "Stale", "Dead letters", "After end", "Usage", "Prices")
    table = new_table(headings, right=headings[1:-2], unbroken=("Partner",))
    for each in found:
        usage = "missing" if each["usage_missing"] else None
        prices = "shipped" if each["only_shipped_prices"] else None
        add_row(table, each["partner"], *(each[name] for name in names), usage, prices)
    print_list(found, more, table, f"No partner has findings for {asked}.", as_json=as_json)
    for name, count in of_everybody.items():
        if count:
            note(f"{name.replace('_', ' ')}: {count:,} leads, which may concern any partner.")


@billing.command("difference")
@api_command
def difference(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Say why a partner's month differs from the month before, with causes that add up to it."""
    asked = {"partner": partner, "period": month(period)}
    result = follow_task(client, client.post(f"{_RUNS}/difference", asked), "Comparing")
    if as_json:
        print_json(result)
        return
    table = new_table(("Cause", "Amount"), right=("Amount",))
    add_row(table, result["compared_with"], result["before"])
    for cause, amount in result["causes"].items():
        add_row(table, cause.replace("_", " "), amount)
    add_row(table, result["period"], result["now"])
    console().print(table)


def _month(period: str | None) -> str:
    now = datetime.now(UTC)
    return month(period) if period else text_from_period(previous_period(now.year * 100 + now.month))


def _follow(client: Client, started: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    doing = "Trying the billing" if dry_run else "Billing"
    follow_task(client, {"status_url": f"/api/tasks/{started['task_id']}"}, doing)
    (run,) = _with_results(client, started["run_id"])["runs"]
    if as_json:
        print_json(run)
    else:
        _print_run(run)
    if run["failed"]:
        raise typer.Exit(1)


def _with_results(client: Client, run_id: str) -> dict[str, Any]:
    """The status with all results of a run."""
    status: dict[str, Any] = client.get(f"{_RUNS}/status", run=run_id)
    while status["next"]:
        more = client.get(f"{_RUNS}/status", run=run_id, after=status["next"])
        status["runs"][0]["results"] += more["runs"][0]["results"]
        status["next"] = more["next"]
    return status


def _print_run(run: dict[str, Any]) -> None:
    table = new_table(("Partner", "Month", "Result", "Bill", "Gross", "Note"), right=("Gross",))
    errors = {(each["partner"], each["period"]): each["error"] for each in run["errors"]}
    for each in run["results"]:
        gross = f"{each['gross']} {each['currency']}" if each["gross"] else None
        remark = errors.get((each["partner"], each["period"])) or each["note"]
        bill = each["state"] if each["state"] != each["outcome"] else None
        add_row(table, each["partner"], each["period"], each["outcome"], bill, gross, remark)
    if run["results"]:
        console().print(table)
    counts = ", ".join(f"{run[name]:,} {name}" for name in ("successful", "failed", "skipped", "waiting"))
    sums = " and ".join(f"{amount} {currency}" for currency, amount in run["totals"].items()) or "Nothing"
    what = "would be billed; nothing was written" if run["dry_run"] else "billed"
    if run["errors_left_out"]:
        note(f"{run['errors_left_out']:,} more have an error; it is not shown here.")
    if run["error"]:
        console().print(f"The run failed: {run['error']}", markup=False, soft_wrap=True)
    processed = f"{run['processed']:,} processed"
    if run["state"] in ("waiting", "running"):
        processed = f"Not over yet, {run['processed']:,} of {run['progress']['total']:,} processed"
    console().print(f"{processed}: {counts}. {sums} {what}.", markup=False, soft_wrap=True)


def _print_runs(found: dict[str, Any]) -> None:
    right = ("Processed", "Successful", "Failed", "Skipped", "Waiting")
    table = new_table(("Run", "Started", "By", "Month", "State", *right), right=right, unbroken=("Run",))
    for run in found["runs"]:
        state = f"{run['state']}, dry" if run["dry_run"] else run["state"]
        counts = (f"{run[name.lower()]:,}" for name in right)
        add_row(table, run["run_id"], moment(run["started_at"]), run["trigger"], run["period"], state, *counts)
    if found["runs"]:
        console().print(table)
    else:
        note("There were no runs yet.")
    when = f"looks next at {moment(found['next_run_at'])}" if found["enabled"] else "is disabled"
    console().print(f"The scheduler {when}.", markup=False)
