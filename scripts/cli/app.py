"""The command `leadger`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.up import up as run_everything

app = typer.Typer(name="leadger", help="A lead billing engine.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Leadger: ingest leads, bill every action at most once, explain every cent."""


@app.command()
def up(
    port: Annotated[int, typer.Option(help="port of the API on 127.0.0.1")] = 8000,
    home: Annotated[Path, typer.Option(envvar="LEADGER_HOME", help="folder for data and logs")] = Path(".leadger"),
    once: Annotated[bool, typer.Option("--once", help="bill the samples, print the reports and stop")] = False,
    reload: Annotated[bool, typer.Option("--reload", help="restart API and worker when the code changes")] = False,
) -> None:
    """Start everything on this machine, bill the sample leads and print their reports."""
    raise typer.Exit(run_everything(port, home, once=once, reload=reload, console=Console()))
