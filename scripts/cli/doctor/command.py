"""`leadger doctor`: what is wrong, and how to fix it."""

import os

import typer
from rich.text import Text

from scripts.cli.connection import Key, Url, find_address, home
from scripts.console import Json, console, print_json

_MARKS = {"ok": ("✔", "green"), "warning": ("!", "yellow"), "broken": ("✘", "red"), "unknown": ("?", "blue")}
_PART_WIDTH = 16


def doctor(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Check every part and say for each finding how to fix it.

    Python, the home folder and its disk, the API, the clocks, the key and its scopes, what piles up, the database and
    its schema, Redis, the workers and beat. The servers themselves are looked at if DATABASE_URL and REDIS_URL name
    them, or if they are the embedded ones of LEADGER_HOME.

    Status 1 if something is broken.
    """
    # The database's and the queue's libraries take a second to load, which no other command should wait for.
    from scripts.cli.doctor.examination import examine
    from scripts.cli.doctor.findings import Examined, Finding, State

    address = find_address(url, key)
    servers = os.environ.get("DATABASE_URL") or None, os.environ.get("REDIS_URL") or None
    findings: list[Finding] = []
    for finding in examine(Examined(address.url, address.api_key, home(), *servers)):
        findings.append(finding)
        if not as_json:
            _print(finding.part, finding.state, finding.detail, finding.fix)
    if as_json:
        print_json(
            [
                {"part": f.part, "state": f.state, "detail": f.detail, "fix": f.fix or None, "mend": f.fix or None}
                for f in findings
            ]
        )
    if any(finding.state is State.BROKEN for finding in findings):
        raise typer.Exit(1)


def _print(part: str, state: str, detail: str, fix: str) -> None:
    mark, style = _MARKS[state]
    console().print(Text.assemble((mark, style), f" {part:<{_PART_WIDTH}} {detail}"), soft_wrap=True)
    if fix:
        console().print(Text(f"  {'':<{_PART_WIDTH}} → {fix}", style=style), soft_wrap=True)
