"""`leadger up`: everything on this machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_WIDTH = 116
"""Columns of a report in a file or a pipe."""


def up(
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1.")] = 8000,
    home: Annotated[Path, typer.Option(envvar="LEADGER_HOME", help="Folder for data and logs.")] = Path(".leadger"),
    once: Annotated[bool, typer.Option("--once", help="Stop when everything is up and printed.")] = False,
    samples: Annotated[
        bool | None,
        typer.Option(
            "--samples/--no-samples",
            help="Bill the sample leads and print their reports.",
            show_default="only into the database of Leadger's own, not into DATABASE_URL",
        ),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart API and worker when the code changes.")] = False,
) -> None:
    """Start everything on this machine; into its own database, bill the sample leads and print their reports."""
    # The servers' libraries take a second to load, which no other command should wait for.
    from scripts.local.launcher.up import up as run_everything

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    raise typer.Exit(run_everything(port, home, once=once, samples=samples, reload=reload, console=console))
