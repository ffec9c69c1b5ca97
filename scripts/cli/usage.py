"""`leadger usage`: units that others count, which bills charge above a limit."""

from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

from billing.csv_rows import CsvRow, InvalidRows, rows_from_csv
from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, OnlyPeriod, Partner, Period
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
from scripts.errors import CannotStart

_COLUMNS = {name: name for name in ("partner", "period", "source", "key", "units")}
_MOST_ROWS = 100_000

usage = typer.Typer(help="Usage: units that bills charge above a limit.", no_args_is_help=True)


@usage.command("set")
@api_command
def set_usage(
    client: Client,
    partner: Partner,
    period: Period,
    units: Annotated[int, typer.Argument(help="How many.")],
    source: Annotated[str, typer.Option(help="Who counts.")] = "api",
    name: Annotated[str, typer.Option(help="The entry's own key within partner, month and source.")] = "total",
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of other units under the key.")] = False,
    as_json: Json = False,
) -> None:
    """Enter units of a partner's month; the same again changes nothing."""
    body = {"partner": partner, "period": period, "source": source, "key": name, "units": units, "replace": replace}
    entered = client.post("/api/usage", body)
    if as_json:
        print_json(entered)
    else:
        console().print(f"{partner} has {units:,} units of {entered['source']} {name} in {period}.", markup=False)


@usage.command("import")
@api_command
def import_usage(
    client: Client,
    file: Annotated[
        Path,
        typer.Argument(
            help="A CSV file with partner, period, source, key and units, perhaps below lines that begin with #."
        ),
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of other units under the key.")] = False,
    as_json: Json = False,
) -> None:
    """Enter the units of a file, row by row; the same file again changes nothing."""
    entered = [
        client.post("/api/usage", {**each.cells, "units": _units(each), "replace": replace}) for each in _rows(file)
    ]
    if as_json:
        print_json(entered)
    else:
        note(f"{len(entered):,} entries of {file.name} are there.")


def _rows(file: Path) -> list[CsvRow]:
    """All rows; CannotStart for a file that cannot be read, or has a row that lacks something."""
    try:
        text = file.read_text("utf-8-sig")
        comments = sum(1 for _ in takewhile(lambda line: line.startswith("#"), text.splitlines()))
        rows = rows_from_csv("".join(text.splitlines(keepends=True)[comments:]), _COLUMNS, _MOST_ROWS)
    except (OSError, UnicodeDecodeError, InvalidRows) as error:
        raise CannotStart(f"{file} cannot be read: {error}") from None
    for row in rows:
        if missing := sorted(_COLUMNS.keys() - row.cells.keys()):
            line = row.line + comments
            raise CannotStart(f"{file}, line {line} has no {' and no '.join(missing)}; nothing was entered.")
        _units(row)
    return rows


def _units(row: CsvRow) -> int:
    if not row.cells["units"].isdecimal():
        raise CannotStart(f"{row.cells['units']!r} are no units like 1500; nothing was entered.")
    return int(row.cells["units"])


@usage.command("list")
@api_command
def list_usage(
    client: Client,
    partner: OnlyPartner = None,
    period: OnlyPeriod = None,
    source: Annotated[str | None, typer.Option(help="Only from here.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Also what was replaced.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List usage by partner, month, source and key, with who entered it."""
    only = {"partner": partner, "period": period, "source": source, "history": "true" if history else None}
    items, more = some_pages(client, "/api/usage", limit, **only)
    table = new_table(("Partner", "Month", "Source", "Key", "Units", "Entered by", "At"), right=("Units",))
    for each in items:
        who = each["entered_by"] and each["entered_by"]["name"]
        figures = (each["period"], each["source"], each["key"], f"{each['units']:,}")
        add_row(table, each["partner"], *figures, who, moment(each["entered_at"]))
    print_list(items, more, table, "There is no usage.", as_json=as_json)
