"""`leadger explain`, `lead` and `batch`: what became of leads and actions, and why."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import typer
from rich.console import Console

from billing.identity import RowKeys
from scripts.cli.connection import api_command
from scripts.client import Client, ClientError, Refused
from scripts.console import (
    OUTCOME_STYLES,
    Json,
    add_row,
    console,
    exact_moment,
    moment,
    new_table,
    outcome,
    print_json,
    print_panel,
)

_uuid_from_text = RowKeys(lambda octets: UUID(bytes=octets)).from_text

Source = Annotated[str | None, typer.Option(help="The source that the lead was sent with, if any.")]


@api_command
def explain(
    client: Client,
    what: Annotated[
        str, typer.Argument(metavar="ACTION", help="An action's UUID, or a lead's id for all its actions.")
    ],
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Say why an action was or was not billed, with every figure behind it."""
    action = None if source else _action(client, what)
    lead = None if action else _lead(client, what, source)
    if as_json:
        print_json(action or lead)
    elif action:
        print_action(action, console())
    elif lead:
        _print_lead_head(lead, console())
        for each in lead["actions"] if lead["state"] == "done" else ():
            print_action(each, console())


@api_command
def lead(
    client: Client,
    lead_id: Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id, as it was sent or as a UUID.")],
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Show a lead with the verdict of each of its actions."""
    found = _lead(client, lead_id, source)
    if as_json:
        print_json(found)
        return
    _print_lead_head(found, console())
    headings = ("Action", "Value", "Billed", "Outcome", "Action id")
    table = new_table(headings, right=("Value", "Billed"), unbroken=["Action id"])
    for each in found["actions"]:
        what = f"{each['action_type']} · {each['engagement_level']} · {exact_moment(each['occurred_at'])}"
        judged = outcome(each.get("outcome", found["state"]))
        add_row(table, what, each.get("value"), each.get("billed"), judged, each.get("action_id"))
    console().print(table)


@api_command
def batch(
    client: Client,
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="The batch id that the API answered.")],
    as_json: Json = False,
) -> None:
    """Show what became of the leads of one request."""
    found = client.get(f"/leads/batches/{quote(batch_id, safe='')}")
    if as_json:
        print_json(found)
        return
    rows = {"State": found["state"], "Received": moment(found["received_at"]), "Done": moment(found["done_at"])}
    rows |= {
        "Accepted": f"{found['accepted']:,}",
        "Leads": _counts(found["leads"]),
        "Actions": _counts(found["actions"]),
    }
    print_panel(console(), f"Batch {found['batch_id']}", rows)
    for problem in client.pages(f"/leads/batches/{found['batch_id']}/problems"):
        console().print(f"{problem['index']}: {problem['lead_id']}: {problem['detail']}", markup=False, soft_wrap=True)
    print_possible_corrections(found["possible_correction_count"], found["possible_corrections"])


def print_possible_corrections(count: int, first: Sequence[dict[str, Any]]) -> None:
    """Say in one sentence that actions may be meant to correct others, and how one corrects."""
    if not count:
        return
    example = first[0]
    option = "--level" if example["differs"] == "engagement_level" else "--type"
    others = f" ({count - 1:,} more)" if count > 1 else ""
    console().print(
        f"{count:,} new actions of known leads differ from stored ones in level or type only, and both count; if the"
        f" stored one was wrong, as perhaps that of lead {example['lead_id']}{others}:"
        f' leadger correct {example["stored_action_id"]} {option} "{example["sent"]}" --reason "…"',
        markup=False,
        soft_wrap=True,
    )


def print_action(action: dict[str, Any], target: Console) -> None:
    """One action with its figures and the sentence that explains it, in a frame in the outcome's colour."""
    currency, rate = action["currency"], action["rate"]
    when = action["billing_period"] + (f", late: it belongs to {action['period']}" if action["late"] else "")
    rows = {
        "Action": f"{action['action_type']} · {action['engagement_level']} · {exact_moment(action['occurred_at'])}",
        "Action id": action["action_id"],
        "Lead": action["lead_id"],
        "Outcome": outcome(action["outcome"]),
        "Value": f"{action['value']} {currency}",
        "Rate": f"{rate['rule']} (rule {rate['rule_id']}, card {rate['card_version']})",
        "Billed": f"{action['billed']} {currency}",
        "Savings": f"{action['duplicate_savings']} duplicate, {action['cap_savings']} cap",
        "Billed in": when,
    }
    if action["duplicate_of"]:
        rows["Duplicate of"] = action["duplicate_of"]
    if action["cap"]:
        rows["Cap"] = f"{action['cap_before']} used before, {action['cap_after']} after, of {action['cap']} {currency}"
    if action["credited"]:
        rows["Credited"] = f"{action['credited']} {currency} in {action['credited_in']}"
    if action["corrects"]:
        rows["Corrects"] = action["corrects"]
    if action["corrected_by"]:
        rows["Corrected by"] = action["corrected_by"]
    style = OUTCOME_STYLES.get(action["outcome"], "none")
    print_panel(target, f"{action['action_type']} · {action['engagement_level']}", rows, action["reason"], style)


def _action(client: Client, text: str) -> dict[str, Any] | None:
    action_id = _uuid_from_text(text)
    if action_id is None:
        return None
    try:
        action: dict[str, Any] = client.get(f"/api/actions/{action_id}")
    except Refused as refused:
        if refused.status != 404:
            raise
        return None
    return action


def _lead(client: Client, text: str, source: str | None) -> dict[str, Any]:
    # By the list, which finds every id: in a path "batches" is another resource.
    found: list[dict[str, Any]] = client.get("/leads", lead_id=text, source=source)["items"]
    if not found:
        raise ClientError(f"There is no lead {text!r}" + (f" from {source!r}." if source else "."))
    return found[0]


def _print_lead_head(found: dict[str, Any], target: Console) -> None:
    customer, totals = found["customer"], found["totals"]
    rows = {
        "Lead": found["lead_id"] + (f" from {found['source']}" if found["source"] else ""),
        "Lead type": found["lead_type"],
        "Customer": " · ".join(str(customer[name]) for name in ("external_id", "name", "email") if customer.get(name)),
        "Product": found["product"] + (f" of {found['partner']}" if found.get("partner") else ""),
        "State": found["state"],
    }
    if totals:
        rows["Billed"] = f"{totals['billed']} of {totals['gross']} {found['currency']}"
        if totals["credited"] != "0.00":
            rows["Credited"] = f"{totals['credited']} {found['currency']}, which leaves {totals['net']} net"
    if "problem" in found:
        rows["Problem"] = found["problem"]["detail"] or found["problem"]["reason"]
    print_panel(target, f"Lead {found['lead_id']}", rows)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none yet"
