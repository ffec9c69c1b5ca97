"""`leadger webhooks`: who is told of what happens, and what was sent."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.cli.durations import seconds
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    moment,
    new_table,
    note,
    print_json,
    print_list,
    some_pages,
)

webhooks = typer.Typer(help="Webhooks: other systems that are told of what happens.", no_args_is_help=True)

Webhook = Annotated[str, typer.Argument(help="The webhook's id.")]


@webhooks.command("add")
@api_command
def add_webhook(
    client: Client,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where to send messages: https://…")],
    events: Annotated[str, typer.Option(help="What to tell, like bill.issued,bill.paid.")],
    partner: Annotated[str | None, typer.Option(metavar="ID", help="Only of this partner.")] = None,
    as_json: Json = False,
) -> None:
    """Make a webhook and print its secret, which is shown nowhere else."""
    body = {"url": address, "events": [each.strip() for each in events.split(",")], "partner": partner}
    made = client.post("/api/webhooks", body)
    _print_secret(made, f"The webhook {made['webhook_id']} is made. Its secret, which is shown only now:", as_json)


@webhooks.command("list")
@api_command
def list_webhooks(client: Client, limit: Limit = 100, as_json: Json = False) -> None:
    """List webhooks with what they tell and how they do."""
    items, more = some_pages(client, "/api/webhooks", limit)
    table = new_table(("Webhook", "URL", "Events", "Partner", "State"), (), ["Webhook"])
    for each in items:
        add_row(table, each["webhook_id"], each["url"], ", ".join(each["events"]), each["partner"], _state(each))
    print_list(items, more, table, "There are no webhooks.", as_json=as_json)


@webhooks.command("remove")
@api_command
def remove_webhook(client: Client, webhook: Webhook) -> None:
    """Remove a webhook; what waits for it is not sent."""
    client.delete(f"/api/webhooks/{webhook}")
    console().print(f"The webhook {webhook} is removed.", markup=False)


@webhooks.command("rotate")
@api_command
def rotate_webhook(
    client: Client,
    webhook: Webhook,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old secret signs, too, like 90s, 15m, 1h, 7d or 0.")
    ] = "1d",
    as_json: Json = False,
) -> None:
    """Give a webhook another secret and print it."""
    rotated = client.post(f"/api/webhooks/{webhook}/rotate", {"overlap_s": seconds(overlap, "--overlap")})
    _print_secret(rotated, "The new secret, which is shown only now:", as_json)


@webhooks.command("enable")
@api_command
def enable_webhook(client: Client, webhook: Webhook) -> None:
    """Let a webhook that failed or was disabled be tried again now."""
    client.post(f"/api/webhooks/{webhook}/enable", {})
    console().print(f"The webhook {webhook} is enabled; what waits for it goes now.", markup=False)


@webhooks.command("test")
@api_command
def test_webhook(client: Client, webhook: Webhook) -> None:
    """Send a webhook a message that tells of nothing."""
    client.post(f"/api/webhooks/{webhook}/test", {})
    console().print(f"A message is on its way; see it with: leadger webhooks deliveries {webhook}", markup=False)


@webhooks.command("deliveries")
@api_command
def list_deliveries(
    client: Client,
    webhook: Webhook,
    state: Annotated[str | None, typer.Option(help="Only waiting, delivered or failed.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List what was sent to a webhook or waits, the newest first, with the last answer."""
    items, more = some_pages(client, f"/api/webhooks/{webhook}/deliveries", limit, state=state)
    table = new_table(("Delivery", "Event", "Written", "State", "Tries", "Last answer"), ("Tries",), ["Delivery"])
    for each in items:
        last = each["attempts"][-1] if each["attempts"] else {}
        answer = last.get("error") or last.get("status")
        row = (each["event"], moment(each["created_at"]), each["state"], str(len(each["attempts"])))
        add_row(table, str(each["delivery_id"]), *row, answer and str(answer))
    print_list(items, more, table, "Nothing was sent.", as_json=as_json)


@webhooks.command("redeliver")
@api_command
def redeliver(
    client: Client, webhook: Webhook, delivery: Annotated[int, typer.Argument(help="The delivery's id.")]
) -> None:
    """Send a message again, with the same id."""
    client.post(f"/api/webhooks/{webhook}/deliveries/{delivery}/redeliver", {})
    console().print(f"The message of delivery {delivery} goes again.", markup=False)


def _print_secret(made: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    note(text)
    console().print(made["secret"], markup=False, soft_wrap=True)


def _state(webhook: dict[str, Any]) -> str:
    if webhook["disabled_at"]:
        return f"disabled {moment(webhook['disabled_at'])}"
    if webhook["failing_since"]:
        return f"fails since {moment(webhook['failing_since'])}"
    return "works"
