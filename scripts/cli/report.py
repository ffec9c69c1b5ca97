"""`leadger report`: what partners owe, per period, as tables, JSON, CSV, Markdown or PDF."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from scripts.cli.connection import api_command
from scripts.cli.periods import month
from scripts.cli.report_tables import print_report, print_reports
from scripts.client import Client
from scripts.console import Json, console, note
from scripts.errors import CannotStart

_CUSTOMERS_OF_A_PAGE = 500


class ReportFormat(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "md"
    PDF = "pdf"


@api_command
def report(
    client: Client,
    partner: Annotated[str | None, typer.Argument(help="A partner's id; none: all partners.")] = None,
    period: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="One month; none: all.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's part.")] = None,
    actions: Annotated[bool, typer.Option("--actions", help="List every action in the table, too.")] = False,
    totals: Annotated[bool, typer.Option("--totals", help="CSV: add rows of totals below the others.")] = False,
    kind: Annotated[
        ReportFormat | None, typer.Option("--format", help="How to print it; default: by --out's name, else a table.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file instead of the terminal.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Print billing reports: what was billed and credited, what is due (net), and what was saved.

    With a partner and a period it is one report in full; otherwise a line for each report. CSV and Markdown are always
    one report in full, with every action; the rows of each column of a CSV add up to its total. A PDF
    (--out NAME.pdf) has the products and the first 200 customers.
    """
    period = month(period) if period else None
    form = ReportFormat.JSON if as_json else kind or _by_name(out)
    if totals and (customer or form is not ReportFormat.CSV):
        raise CannotStart("--totals adds rows to a whole report as CSV; the other formats have totals anyway.")
    if form is ReportFormat.PDF:
        if customer or out is None:
            raise CannotStart("A PDF is of a whole report, and goes into a file: --out NAME.pdf.")
        one = _only(_found(client, partner, period, customer), partner)
        with client.stream(f"/billing/reports/{one['report_id']}", format="pdf") as blocks:
            out.write_bytes(b"".join(blocks))
        note(f"Wrote {out}, {out.stat().st_size:,} bytes.")
        return
    with _output(out) as file:
        if form in (ReportFormat.CSV, ReportFormat.MARKDOWN):
            _write_file(client, _only(_found(client, partner, period, customer), partner), form, customer, totals, file)
        elif form is ReportFormat.JSON:
            reports = [_whole(client, each) for each in _found(client, partner, period, customer)]
            shown = _only(reports, partner) if partner and period else reports
            file.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        elif partner and period:
            one = _whole(client, _only(_found(client, partner, period, customer), partner))
            print_report(one, customer, _rows(client, one, customer) if actions else None, console(file))
        else:
            print_reports(_found(client, partner, period, customer), customer, console(file))
    if out:
        note(f"Wrote {out}, {out.stat().st_size:,} bytes.")


def _found(client: Client, partner: str | None, period: str | None, customer: str | None) -> list[Any]:
    return list(client.pages("/billing/reports", partner=partner, period=period, customer=customer))


def _whole(client: Client, report: dict[str, Any]) -> dict[str, Any]:
    """A report with all its customers; the API sends the first ones with it and the others by pages."""
    path, following = f"/billing/reports/{report['report_id']}/customers", report["customers_next"]
    rest = client.pages(path, after=following, limit=_CUSTOMERS_OF_A_PAGE) if following else ()
    return report | {"customers": [*report["customers"], *rest], "customers_next": None}


def _only(found: list[Any], partner: str | None) -> Any:
    if not found:
        raise CannotStart(f"There is no such report: {partner or 'nobody'} has no actions there.")
    if len(found) > 1:
        names = ", ".join(f"{each['partner']} {each['period']}" for each in found[:5])
        names += ", …" if len(found) > 5 else ""
        raise CannotStart(f"{len(found)} reports match ({names}); name one with PARTNER and --period.")
    return found[0]


def _write_file(
    client: Client, found: Any, form: ReportFormat, customer: str | None, totals: bool, file: TextIO
) -> None:
    if customer and form is ReportFormat.MARKDOWN:
        raise CannotStart("Markdown is a whole report; for one customer use --format csv, json or table.")
    if customer:
        rows = _rows(client, found, customer)
        first = next(rows)
        writer = csv.DictWriter(file, first, lineterminator="\n")
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)
        return
    for line in _lines(client, found, form, totals=totals or None):
        file.write(line)


def _rows(client: Client, found: Any, customer: str | None) -> Iterator[dict[str, str]]:
    """The actions and credits of a report, or of one customer in it."""
    only = found["customers"][0]["customer"]["external_id"] if customer else None
    for row in csv.DictReader(_lines(client, found, ReportFormat.CSV)):
        if only in (None, row["customer"]):
            yield row


def _lines(client: Client, found: Any, form: ReportFormat, totals: bool | None = None) -> Iterator[str]:
    with client.stream(f"/billing/reports/{found['report_id']}", format=str(form), totals=totals) as pieces:
        rest = b""
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode() + "\n"
        if rest:
            yield rest.decode()


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears only when it is complete."""
    if out is None:
        yield sys.stdout
        return
    new = out.with_name(out.name + ".part")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            yield file
        new.replace(out)
    except OSError as error:
        raise CannotStart(f"{out} cannot be written: {error.strerror}.") from None
    finally:
        new.unlink(missing_ok=True)


def _by_name(out: Path | None) -> ReportFormat:
    names: dict[str, ReportFormat] = {
        ".json": ReportFormat.JSON,
        ".csv": ReportFormat.CSV,
        ".md": ReportFormat.MARKDOWN,
        ".pdf": ReportFormat.PDF,
    }
    return names.get(out.suffix.lower(), ReportFormat.TABLE) if out else ReportFormat.TABLE
