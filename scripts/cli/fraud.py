"""`leadger fraud`: rules, screens, and how many honest actions the rules find."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner, Period
from scripts.cli.periods import month
from scripts.client import Client
from scripts.console import (
    Json,
    add_row,
    console,
    follow_task,
    moment,
    new_table,
    note,
    print_json,
    print_list,
)
from scripts.errors import CannotStart

fraud = typer.Typer(help="Fraud rules: list, arm, disarm; screen a month.", no_args_is_help=True)

Rule = Annotated[str, typer.Argument(metavar="RULE", help="The rule's name; `leadger fraud rules` lists them.")]


@fraud.command("rules")
@api_command
def list_rules(client: Client, as_json: Json = False) -> None:
    """List the rules as they are set, with what the newest screens of all months found by each."""
    items = list(client.pages("/api/fraud/rules"))
    table = new_table(
        ("Rule", "State", "Threshold", "Limits", "Customers", "Actions", "Last screen"),
        right=("Threshold", "Customers", "Actions"),
        unbroken=["Rule"],
    )
    for each in items:
        limits = ", ".join(f"{name} {limit}" for name, limit in each["limits"].items())
        figures = f"{each['customers']:,}", f"{each['actions']:,}", moment(each["last_screen_at"])
        add_row(table, each["rule"], _state(each), each["threshold"], limits, *figures)
    print_list(items, False, table, "There are no rules.", as_json=as_json)


@fraud.command()
@api_command
def arm(
    client: Client,
    rule: Rule,
    threshold: Annotated[
        int | None, typer.Option(min=1, max=100, help="The score from which actions are held.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Another limit, like actions=100; repeat it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a rule hold what it finds, from the next screen on. Needs a key with the scope admin."""
    _set(client, rule, {"armed": True, "threshold": threshold, "limits": _limits(limit or [])}, as_json)


@fraud.command()
@api_command
def disarm(client: Client, rule: Rule, as_json: Json = False) -> None:
    """Put a rule back in shadow: it counts and holds nothing more; what it holds stays held until somebody decides."""
    _set(client, rule, {"armed": False}, as_json)


@fraud.command()
@api_command
def screen(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Screen a partner's month: count what every rule finds, and hold what armed ones find."""
    result = _screen(client, partner, month(period))
    if as_json:
        print_json(result)
        return
    _print_found(result["rules"], result["actions"])
    console().print(f"{result['held']:,} of {result['actions']:,} actions of {partner} {period} are held now.")


@fraud.command()
@api_command
def measure(
    client: Client,
    number: Annotated[int, typer.Option("--seed", help="That of `leadger seed`.")] = 42,
    partners: Annotated[int, typer.Option(min=1, max=1000, help="The same.")] = 5,
    customers: Annotated[int, typer.Option(min=1, max=1_000_000, help="The same.")] = 2000,
    months: Annotated[int, typer.Option(min=1, max=120, help="The same.")] = 3,
    first_month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The same.")] = "2024-04",
    as_json: Json = False,
) -> None:
    """Screen everything that `leadger seed` made up. Its people are honest, so whatever is found is a false positive.

    It refuses while a rule is armed, which would hold what it finds.
    """
    # Only here, because Faker takes a while to load.
    from scripts.samples.seed import Plan

    if armed := [each["rule"] for each in client.pages("/api/fraud/rules") if each["armed"]]:
        raise CannotStart(f"Armed rules would hold what they find; disarm {', '.join(armed)} first.")
    plan = Plan(number, partners, customers, months, first_month)
    found: dict[str, dict[str, Any]] = {}
    actions = 0
    for partner in range(1, partners + 1):
        for period in plan.periods:
            result = _screen(client, f"{plan.name}-partner-{partner}", period)
            actions += result["actions"]
            for each in result["rules"]:
                sums = found.setdefault(each["rule"], each | {"customers": 0, "actions": 0})
                sums["customers"] += each["customers"]
                sums["actions"] += each["actions"]
    if as_json:
        rules = [{name: each[name] for name in ("rule", "version", "customers", "actions")} for each in found.values()]
        print_json({"actions": actions, "rules": rules})
        return
    _print_found(list(found.values()), actions)
    note(f"All {actions:,} actions are made up and honest: what was found is a false positive.")


def _screen(client: Client, partner: str, period: str) -> dict[str, Any]:
    started = client.post("/api/fraud/screen", {"partner": partner, "period": period})
    return follow_task(client, started, f"Screening {partner} {period}")


def _set(client: Client, rule: str, wanted: dict[str, Any], as_json: bool) -> None:
    body = {name: value for name, value in wanted.items() if value not in (None, {})}
    changed = client.patch(f"/api/fraud/rules/{rule}", body)
    if as_json:
        print_json(changed)
    else:
        what = "holds what it finds" if changed["armed"] else "counts what it finds, and holds nothing"
        console().print(f"From the next screen on, {rule} {what} (threshold {changed['threshold']}).", soft_wrap=True)


def _limits(named: list[str]) -> dict[str, int]:
    limits = {}
    for each in named:
        name, _, limit = each.partition("=")
        if not limit.isdigit():
            raise CannotStart(f"A limit is a name and a number, like actions=100, and not {each!r}.")
        limits[name] = int(limit)
    return limits


def _print_found(rules: list[dict[str, Any]], actions: int) -> None:
    table = new_table(
        ("Rule", "State", "Customers", "Actions", "Share"), right=("Customers", "Actions", "Share"), unbroken=["Rule"]
    )
    for each in rules:
        share = f"{100 * each['actions'] / actions:.3f} %" if actions else "–"
        add_row(table, each["rule"], _state(each), f"{each['customers']:,}", f"{each['actions']:,}", share)
    console().print(table)


def _state(rule: dict[str, Any]) -> str:
    return "armed" if rule["armed"] else "in shadow"
