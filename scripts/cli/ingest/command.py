"""`leadger ingest`: leads from files into the engine."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.progress import Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from billing.lead_files.lead_entries import Unreadable
from billing.lead_files.reading import Format, read_leads
from scripts.cli.connection import api_command
from scripts.cli.explain import print_possible_corrections
from scripts.cli.ingest.source import open_source
from scripts.cli.ingest.upload import Counts, Intake, RejectedLine
from scripts.client import Client, ClientError
from scripts.console import Json, add_row, console, new_table, note, print_json, progress
from scripts.errors import CannotStart

REJECTED = 2
_PROBLEMS_SHOWN = 5
_BYTES = TaskProgressColumn()
_LEADS = TextColumn("{task.fields[text]}")


@api_command
def ingest(
    client: Client,
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help='Files to read; "-" is standard input.')],
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where refused lines go; default: FILE.rejected.ndjson.", dir_okay=False),
    ] = None,
    kind: Annotated[
        Format | None, typer.Option("--format", help="What the files hold; default: by name and content.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every accepted lead is decided.")] = True,
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Stop waiting when nothing was decided for so long.")
    ] = 120,
    as_json: Json = False,
) -> None:
    """Send leads from files: JSON, NDJSON or CSV, gzipped or not.

    A JSON file holds one lead or a list; NDJSON one lead per line. A CSV file holds one action per row, with the
    columns lead_id, customer_id, product_id, lead_type, action_type, engagement_level, timestamp, and, if you like,
    source, customer_name, customer_email and created_at; all rows of one lead make one lead, wherever they stand.

    Lines that are refused go to a reject file with their number and the reasons. It is safe to run this again, also
    after it was interrupted: leads that are known are counted as replayed and change nothing.

    Status 0: everything was accepted. 2: something was rejected. 1: it could not be done, or not to the end.
    """
    for name in files:
        with _said(), open_source(name):
            pass
    counts, started = Counts(), time.monotonic()
    try:
        for name in files:
            path = rejects or Path(f"{'stdin' if name == '-' else name}.rejected.ndjson")
            with _said(), _reject_file(path, name, again=rejects is not None and name != files[0]) as reject:
                _ingest(client, name, kind, Intake(client, reject), patience if wait else None, counts)
    except (ClientError, CannotStart):
        note(f"{counts.accepted:,} leads were accepted before this; sending everything again is safe.")
        raise
    if as_json:
        print_json(counts.to_json())
    else:
        print_counts(counts, time.monotonic() - started)
    if counts.waiting and wait:
        raise CannotStart(
            f"{counts.waiting} accepted leads are not decided after {patience:.0f} s; they stay accepted, and are "
            "decided once a worker is there, about which `leadger doctor` says more."
        )
    if counts.rejected:
        raise typer.Exit(REJECTED)


def print_counts(counts: Counts, seconds: float) -> None:
    """What became of the leads, as a table with a line about each problem."""
    table = new_table(("Leads", "Count", "Actions", "Count "), right=("Count", "Count "))
    leads = {"accepted": counts.accepted, "rejected": counts.rejected} | counts.leads
    if counts.waiting:
        leads["waiting"] = counts.waiting
    left, right = list(leads.items()), [pair for pair in counts.actions.items() if pair[1]]
    for row in range(max(len(left), len(right))):
        name, count = left[row] if row < len(left) else ("", "")
        action, actions = right[row] if row < len(right) else ("", "")
        shown = f"{count:,}" if count != "" else ""
        add_row(table, name, shown, action.replace("_", " "), f"{actions:,}" if actions != "" else "")
    console().print(table)
    _print_problems(counts.problems, counts.problem_count)
    print_possible_corrections(counts.possible_correction_count, counts.possible_corrections)
    note(f"{counts.accepted:,} leads in {seconds:.1f} s, {counts.accepted / max(seconds, 0.001):,.0f} per second.")


def follow(intake: Intake, display: Progress, patience_s: float) -> bool:
    """Wait until everything is decided, with a bar."""
    bar = display.add_task("Deciding", total=intake.counts.accepted, text="")
    intake.on_progress = lambda counts: display.update(bar, completed=counts.decided, text=f"{counts.decided:,} leads")
    return intake.follow(patience_s)


def _ingest(
    client: Client, name: str, kind: Format | None, intake: Intake, patience_s: float | None, total: Counts
) -> None:
    started = time.monotonic()
    try:
        with progress(_BYTES, _LEADS) as display, open_source(name) as (source, size):
            bar = display.add_task(Path(name).name, total=size, text="")

            def show(counts: Counts) -> None:
                rate = counts.accepted / (time.monotonic() - started)
                display.update(bar, text=f"{counts.accepted:,} leads, {rate:,.0f}/s, {counts.rejected:,} rejected")

            intake.on_progress = show
            try:
                for read in read_leads(source, name, kind, lambda count: display.advance(bar, count)):
                    intake.add(read)
            except Unreadable:
                intake.flush()
                raise
            intake.flush()
            if patience_s is not None:
                follow(intake, display, patience_s)
    finally:
        total.add(intake.counts)


@contextmanager
def _reject_file(path: Path, name: str, *, again: bool) -> Iterator[Any]:
    """Takes rejected lines; the file is there only if there are any."""
    try:
        file: IO[str] = path.open("a" if again else "w", encoding="utf-8")
    except OSError as error:
        raise CannotStart(f"Rejected lines cannot be written to {path}: {error.strerror}; see --rejects.") from None
    count = 0

    def reject(rejected: RejectedLine) -> None:
        nonlocal count
        count += 1
        text = rejected.line.text.decode("utf-8", "backslashreplace")
        record = {"file": name, "line": rejected.line.number, "reasons": rejected.reasons, "text": text}
        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    try:
        with file:
            yield reject
    finally:
        if not count and path.is_file() and not path.stat().st_size:
            path.unlink()
    if count:
        note(f"{count:,} lines of {name} were rejected; {path} says why.")


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        raise CannotStart(str(error)) from None


def _print_problems(problems: list[dict[str, Any]], of: int) -> None:
    if of > len(problems):
        text = f"{of:,} leads are in quarantine; of the first {len(problems):,}:"
        console().print(Text(text, style="yellow"))
    for reason, count in Counter(problem["reason"] for problem in problems).most_common():
        first = [problem for problem in problems if problem["reason"] == reason][:_PROBLEMS_SHOWN]
        console().print(Text(f"{reason.replace('_', ' ')}: {count:,} leads in quarantine", style="yellow"))
        for problem in first:
            console().print(Text(f"  {problem['lead_id']}: {problem['detail']}"), soft_wrap=True)
        if count > len(first):
            console().print(f"  … see `leadger quarantine list --reason {reason}`")
