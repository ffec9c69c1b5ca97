"""What the commands print: tables, panels, JSON and progress bars, all in one style.

Results go to standard output; progress, notes and errors to standard error. Texts that came in with leads are never
read as markup or emoji of Rich.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TextIO

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from scripts.client import Client, ClientError
from scripts.errors import CannotStart

_WIDE = 1000  # so that nothing is cut off in a pipe or a file

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Most rows to print; 0 prints all.")]

OUTCOME_STYLES = {
    "billed": "green",
    "partly_billed": "yellow",
    "capped": "yellow",
    "duplicate": "cyan",
    "held": "magenta",
    "returned": "magenta",
}


def console(file: TextIO | None = None) -> Console:
    """Standard output, or a file; as wide as need be where no terminal limits it.

    Texts are printed as they are: "[bold]" and ":smile:" in a name or a reason stay what they are.
    """
    target = file or sys.stdout
    return Console(file=file, width=None if target.isatty() else _WIDE, highlight=False, markup=False, emoji=False)


def notes() -> Console:
    """Standard error: progress and everything that is not the result."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def note(text: str) -> None:
    """One line for the person at the terminal."""
    notes().print(text, markup=False)


def say_error(text: str) -> None:
    """One message about what went wrong."""
    print(f"leadger: {text}", file=sys.stderr)


@contextmanager
def one_message() -> Iterator[None]:
    """End the command with one message on standard error and status 1 where it cannot be done."""
    try:
        yield
    except (ClientError, CannotStart) as error:
        say_error(str(error))
        raise typer.Exit(1) from None


def print_json(value: Any) -> None:
    """JSON for people and programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def new_table(columns: Iterable[str], right: Iterable[str] = (), unbroken: Iterable[str] = ()) -> Table:
    """A table with these headings; those in `right` are figures, those in `unbroken` UUIDs that are never cut."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    figures = set(right)
    in_one_piece = figures | set(unbroken)
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in figures else "left"
        # Texts go on in the next line before a figure or an id is broken or cut off.
        table.add_column(name, justify=justify, no_wrap=name in in_one_piece, overflow="fold")
    return table


def add_row(table: Table, *values: Any, style: str | None = None) -> None:
    """A row of plain texts; None is a dash, and a Text keeps its own style."""
    table.add_row(*(_cell(value) for value in values), style=style)


def print_panel(target: Console, title: str, rows: Mapping[str, Any], text: str = "", style: str = "none") -> None:
    """Named figures in a frame, with a sentence below them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(max_width=100)
    for name, value in rows.items():
        grid.add_row(name, _cell(value))
    if text:
        grid.add_row("", "")
        grid.add_row("Why", Text(text, style="bold"))
    target.print(Panel(grid, title=Text(title), title_align="left", border_style=style, expand=False))


def outcome(name: str) -> Text:
    """An outcome in its colour."""
    return Text(name.replace("_", " "), style=OUTCOME_STYLES.get(name, "none"))


def moment(instant: str | None) -> str:
    """An instant of the API for a person, to the second: "2024-04-01 10:00:00 UTC"."""
    return f"{instant[:19].replace('T', ' ')} UTC" if instant else "–"


def exact_moment(instant: str) -> str:
    """An instant with all its digits."""
    return instant.replace("T", " ").replace("Z", " UTC")


@contextmanager
def progress(*columns: ProgressColumn) -> Iterator[Progress]:
    """A progress display on standard error that is gone when it is over; nothing at all where no terminal is."""
    shown = notes()
    first = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(
        *first, *columns, TimeElapsedColumn(), console=shown, transient=True, disable=not shown.is_terminal
    ) as display:
        yield display


def follow_task(client: Client, accepted: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Show how far a task is until it is done; its result. Raises ClientError with the reason if it failed."""
    with progress(TextColumn("{task.completed:,.0f} of {task.total:,.0f}")) as display:
        bar = display.add_task(description, total=0)

        def show(status: dict[str, Any]) -> None:
            display.update(bar, completed=status["progress"]["done"], total=status["progress"]["total"])

        status = client.wait_for(accepted["status_url"], progress=show)
    if status["state"] == "failed":
        raise ClientError(status["error"])
    result: dict[str, Any] = status["result"]
    return result


def some_pages(client: Client, path: str, limit: int, **query: Any) -> tuple[list[Any], bool]:
    """Up to `limit` items of a list (0: all), and whether there are more."""
    return cut_off(client.pages(path, **query), limit)


def cut_off(items: Iterable[Any], limit: int) -> tuple[list[Any], bool]:
    """Up to `limit` of some items (0: all), and whether there are more."""
    found: list[Any] = []
    for item in items:
        if limit and len(found) == limit:
            return found, True
        found.append(item)
    return found, False


def print_list(items: Sequence[Any], more: bool, table: Table, empty: str, *, as_json: bool) -> None:
    """A list as a table or as JSON, and a note where it was cut off."""
    if as_json:
        print_json(items)
    elif items:
        console().print(table)
    else:
        note(empty)
    if more:
        note(f"There are more than these {len(items)}; --limit 0 prints all.")


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text("–" if value is None else str(value))
