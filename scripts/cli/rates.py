"""`leadger rates`: the rules of the rate card, listed, set and ended."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, add_row, console, follow_task, new_table, note, print_json, print_list

rates = typer.Typer(help="Prices: list, set and end the rules of the rate card.", no_args_is_help=True)

Partner = Annotated[str | None, typer.Option(metavar="ID", help="The partner it is for.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would differ per partner and month.")]
_CONDITIONS = ("partner", "product", "lead_type", "action_type", "engagement_level")


@rates.command("list")
@api_command
def list_rates(
    client: Client,
    partner: Annotated[
        str | None, typer.Option(metavar="ID", help="Only rules that can price this partner's actions.")
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also rules that were replaced or ended.")] = False,
    as_json: Json = False,
) -> None:
    """List the rules in force, oldest first; of a partner, from when until when each counts for it."""
    items = list(client.pages("/api/rate-cards", partner=partner, ended="true" if ended else None))
    table = new_table(("Rule", "For", "Amount", "From", "Until", "Made by", "State"), right=("Rule", "Amount"))
    for each in items:
        counts = each["counts"] or {}
        start = counts.get("since") or each["effective_from"]
        if start is None:
            start = "the beginning" if counts else "the first open month of each"
        add_row(
            table,
            each["rule_id"],
            _name(each),
            each["amount"] or "none: ends",
            "never" if counts.get("ever") is False else start,
            counts.get("until"),
            each["created_by"],
            _state(each),
        )
    print_list(items, False, table, "There are no rules.", as_json=as_json)


@rates.command("set")
@api_command
def set_rate(
    client: Client,
    amount: Annotated[str, typer.Argument(help="The price, like 12.00, or `none`, which ends an override.")],
    rule: Annotated[
        int | None, typer.Option(metavar="RULE", help="Change this rule; `leadger rates list` shows its number.")
    ] = None,
    partner: Partner = None,
    product: Annotated[str | None, typer.Option(metavar="ID", help="The product it is for.")] = None,
    lead_type: Annotated[str | None, typer.Option(help="The lead type it is for.")] = None,
    action_type: Annotated[str | None, typer.Option(help="The action type it is for.")] = None,
    level: Annotated[str | None, typer.Option(help="The level it is for: High, Medium or Low.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MONTH|INSTANT",
            help="A month like 2024-05, in each partner's time zone, or an instant. By default the first open month.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Set a price: a new rule, which replaces one with the same conditions and start, or another amount for a --rule.

    It counts for open months only; what is closed stays as it is.
    """
    named = {
        "partner": partner,
        "product": product,
        "lead_type": lead_type,
        "action_type": action_type,
        "engagement_level": level,
        "effective_from": start,
    }
    body = {name: value for name, value in named.items() if value is not None}
    if rule is not None and body:
        raise typer.BadParameter("A rule keeps its conditions and its start: give --rule or the others, not both.")
    body["amount"] = None if amount == "none" else amount  # type: ignore[assignment]  # JSON null
    if rule is None:
        _change(client, "POST", "/api/rate-cards", body, dry_run=dry_run, as_json=as_json)
    else:
        _change(client, "PATCH", f"/api/rate-cards/{rule}", body, dry_run=dry_run, as_json=as_json)


@rates.command("end")
@api_command
def end_rate(
    client: Client,
    rule: Annotated[int, typer.Argument(metavar="RULE", help="The rule's number; `leadger rates list` shows it.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """End a rule: in open months, what counted before it counts again; what is closed stays as it is."""
    _change(client, "DELETE", f"/api/rate-cards/{rule}", None, dry_run=dry_run, as_json=as_json)


def _change(
    client: Client, method: str, path: str, body: dict[str, Any] | None, *, dry_run: bool, as_json: bool
) -> None:
    """Send a change and follow its task: the re-evaluation or, with `dry_run`, the preview."""
    request: dict[str, Any] = {"params": {"dry_run": "true"} if dry_run else {}}
    if body is not None:
        request["json"] = body
    answer = client.send(method, path, repeatable=False, **request).json()
    if dry_run:
        _print_preview(follow_task(client, answer, "Looking at open actions"), as_json=as_json)
        return
    result = follow_task(client, answer["task"], "Pricing open actions again")
    if as_json:
        print_json({name: value for name, value in answer.items() if name != "task"} | {"judged": result})
        return
    verb = f"counts: {answer['amount'] or 'none'}" if answer["ended_at"] is None else "has ended"
    replaced = "".join(f"; it replaces rule {each}" for each in answer["replaces"])
    console().print(
        f"Rule {answer['rule_id']} ({_name(answer)}) {verb}"
        + (replaced if answer["ended_at"] is None else "")
        + f". {result['customers']:,} customers were re-evaluated.",
        markup=False,
        soft_wrap=True,
    )


def _print_preview(preview: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(preview)
        return
    table = new_table(
        ("Partner", "Month", "Actions", "Gross", "Billed", "Currency"), right=("Actions", "Gross", "Billed")
    )
    for each in preview["differences"]:
        add_row(
            table,
            each["partner"],
            each["period"],
            each["actions"],
            _signed(each["gross"]),
            _signed(each["billed"]),
            each["currency"],
        )
    print_list(preview["differences"], False, table, "Nothing would differ.", as_json=False)
    if not preview["complete"]:
        note(
            f"Only {preview['customers']:,} customers with {preview['actions']:,} open actions were looked at; "
            "there are more."
        )
    note("Nothing was changed.")


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"


def _name(rate: dict[str, Any]) -> str:
    return " · ".join(rate[name] for name in _CONDITIONS if rate[name] is not None) or "everything"


def _state(rate: dict[str, Any]) -> str:
    if rate["ended_at"] is None:
        return "in force"
    return f"replaced by {rate['replaced_by']}" if rate["replaced_by"] else f"ended by {rate['ended_by']}"
