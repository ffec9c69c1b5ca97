"""`scripts/chaos`: runs faults one after the other, each on a Leadger of its own, and prints what they cost."""

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.dev.chaos.catalogue import FAULTS, ONLY_FULL
from scripts.dev.chaos.scene import Fault, Outcome, play
from scripts.dev.chaos.stack import Place, running_stack
from scripts.dev.chaos.up import running_up

_SHORT_TIMES = 3
_WIDTH = 140  # of the table; also where nobody looks at a terminal


def main(
    names: Annotated[list[str] | None, typer.Argument(help="faults by name; none: all")] = None,
    full: Annotated[bool, typer.Option("--full", help="as often as the design asks")] = False,
    times: Annotated[int | None, typer.Option(min=1, help="how often each fault strikes")] = None,
    seed: Annotated[int, typer.Option(help="the same seed strikes the same way")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures here")] = None,
    keep: Annotated[Path | None, typer.Option(help="leave the homes, with their logs, in this folder")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="name the faults and end")] = False,
) -> None:
    """Do every fault of the design to a real Leadger under load; status 1 if one of them cost anything."""
    console = Console()
    console.width = max(console.width, _WIDTH)
    if list_them:
        for fault in FAULTS:
            console.print(f"{fault.name:<20} ×{fault.full:<4} {fault.about}", highlight=False, soft_wrap=True)
        return
    unknown = set(names or ()) - {fault.name for fault in FAULTS}
    if unknown:
        raise typer.BadParameter(f"There is no fault {', '.join(sorted(unknown))}; --list names them.")
    chosen = [f for f in FAULTS if (f.name in names if names else full or f.name not in ONLY_FULL)]
    outcomes = []
    for fault in chosen:
        often = times or (fault.full if full else min(fault.full, _SHORT_TIMES))
        outcomes.append(_run(fault, often, seed, keep, console))
        if json_file:
            json_file.write_text(json.dumps([_figures(outcome) for outcome in outcomes], indent=2) + "\n")
    console.print(_table(outcomes))
    for outcome in outcomes:
        for line in (*outcome.complaints, *outcome.judgement.details):
            console.print(f"{outcome.fault}: {line}", highlight=False, markup=False, soft_wrap=True)
    missing = [outcome.fault for outcome in outcomes if not outcome.is_built]
    if missing:
        console.print(f"Not built yet: {len(missing)} ({', '.join(missing)}).")
    raise typer.Exit(any(outcome.is_built and not outcome.passed for outcome in outcomes))


def _run(fault: Fault, times: int, seed: int, keep: Path | None, console: Console) -> Outcome:
    if fault.strike is None:
        return Outcome(fault.name, 0, is_built=False)
    console.print(f"{time.strftime('%H:%M:%S')} {fault.name}: {fault.about}, ×{times}", highlight=False)
    with tempfile.TemporaryDirectory(prefix="leadger-chaos-", ignore_cleanup_errors=True) as folder:
        home = (keep or Path(folder)) / fault.name
        if fault.is_up:
            with running_up(home) as up:
                return _play(fault, up, times, seed)
        with running_stack(home, app=fault.app, proxied=fault.proxied) as stack:
            return _play(fault, stack, times, seed)


def _play(fault: Fault, place: Place, times: int, seed: int) -> Outcome:
    outcome = play(fault, place, times=times, seed=seed, name="chaos")
    if not outcome.passed:
        outcome.notes += _last_lines(place.home.logs)
    return outcome


def _last_lines(logs: Path) -> list[str]:
    """The end of every log, because the home is gone when a person reads the table."""
    return [f"{log.name}: {line}" for log in sorted(logs.glob("*.log")) for line in log.read_text().splitlines()[-10:]]


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Fault", no_wrap=True)
    for heading in ("×", "Leads", "Lost", "Billed twice", "Wrong totals", "Recovery s", "worst", "5xx", "False 2xx"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for outcome in outcomes:
        if not outcome.is_built:
            table.add_row(outcome.fault, *("–" for _ in range(9)), "not built yet")
            continue
        found, recoveries = outcome.judgement, sorted(outcome.recoveries_s)
        median, worst = (f"{recoveries[len(recoveries) // 2]:.1f}", f"{recoveries[-1]:.1f}") if recoveries else ("", "")
        counts = (
            found.lost,
            found.billed_twice,
            found.wrong_totals,
            median,
            worst,
            outcome.errors_5xx,
            found.false_2xx,
        )
        cells = (outcome.times, found.leads, *counts)
        table.add_row(outcome.fault, *map(str, cells), "ok" if outcome.passed else "FAILED")
    return table


def _figures(outcome: Outcome) -> dict[str, object]:
    return asdict(outcome) | {"errors_5xx": outcome.errors_5xx, "passed": outcome.passed}


if __name__ == "__main__":
    typer.run(main)
