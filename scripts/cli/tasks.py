"""`leadger tasks`: what runs in the background, how far it is and how it ended."""

from typing import Annotated, Any

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, moment, new_table, print_json, print_list, some_pages

tasks = typer.Typer(help="What runs in the background: closings, rebuilds, erasures and more.", no_args_is_help=True)


@tasks.command("list")
@api_command
def list_tasks(
    client: Client,
    state: Annotated[str | None, typer.Option(help="Only waiting, running, done or failed ones.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, as the list names it.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List background tasks, the newest first."""
    items, more = some_pages(client, "/api/tasks", limit, state=state, kind=kind)
    right = ("Done", "Attempts")
    table = new_table(("Task", "Kind", "State", "Done", "Attempts", "Asked by", "Started", "Error"), right, ["Task"])
    for each in items:
        names = each["task_id"], each["kind"].replace("_", " "), each["state"], _progress(each), each["attempts"]
        add_row(table, *names, _asked_by(each), moment(each["created_at"]), each["error"] or each["last_error"])
    print_list(items, more, table, "There are no such tasks.", as_json=as_json)


@tasks.command("show")
@api_command
def show_task(client: Client, task: Annotated[str, typer.Argument(help="Its id.")], as_json: Json = False) -> None:
    """Show one background task: how far it is, how often it was tried, who asked for it and what came of it."""
    shown = client.get(f"/api/tasks/{task}")
    if as_json:
        print_json(shown)
        return
    table = new_table(("", ""))
    for name in ("kind", "state", "attempts", "last_error", "error"):
        add_row(table, name.replace("_", " "), shown[name])
    add_row(table, "done", _progress(shown))
    add_row(table, "asked by", _asked_by(shown))
    for name in ("created_at", "next_attempt_at", "finished_at"):
        add_row(table, name.removesuffix("_at").replace("_", " "), shown[name] and moment(shown[name]))
    for name, value in (shown["result"] or {}).items():
        add_row(table, name.replace("_", " "), value)
    console().print(table)


def _progress(task: dict[str, Any]) -> str | None:
    done, total = task["progress"]["done"], task["progress"]["total"]
    return f"{done:,} of {total:,}" if total else None


def _asked_by(task: dict[str, Any]) -> str | None:
    asked = task["requested_by"]
    return f"{asked['kind']} {asked['name']}" if asked and asked["kind"] != "system" else asked and "Leadger"
