"""`scripts/bench`: measures the rows of the table of targets, draws the curves, and says where the time goes."""

import json
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scripts.dev.bench import page
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import FAILED, WRONG, Figure, table
from scripts.dev.bench.profiling.accept import profile_accept
from scripts.dev.bench.profiling.worker import profile_worker
from scripts.dev.bench.rows.accept import accept_batch, accept_single
from scripts.dev.bench.rows.beside_others import beside_others
from scripts.dev.bench.rows.bills import bill_files, bills_issued
from scripts.dev.bench.rows.bills_read import bills_list, statement
from scripts.dev.bench.rows.curves import Curve, curve_batch, curve_skew, curve_stored
from scripts.dev.bench.rows.large_tables import large_tables
from scripts.dev.bench.rows.latency import latency
from scripts.dev.bench.rows.monthly import monthly_run
from scripts.dev.bench.rows.one_customer import one_customer
from scripts.dev.bench.rows.one_customer_reads import one_customer_reads
from scripts.dev.bench.rows.pages import pages
from scripts.dev.bench.rows.partner_month import attribution, fraud_screen
from scripts.dev.bench.rows.plans import plans
from scripts.dev.bench.rows.report import report
from scripts.dev.bench.rows.scale import scale
from scripts.dev.bench.rows.skew import skew
from scripts.dev.bench.rows.storage import storage
from scripts.dev.bench.rows.throughput import memory, throughput
from scripts.dev.bench.rows.what_if import what_if
from scripts.dev.bench.servers import running_servers
from scripts.dev.bench.sizes import FULL, QUICK, Sizes, smaller_than_the_targets

ROWS: dict[str, Callable[[Bench], list[Figure]]] = {
    "accept-single": accept_single,
    "accept-batch": accept_batch,
    "throughput": throughput,
    "latency": latency,
    "skew": skew,
    "large-tables": large_tables,
    "plans": plans,
    "one-customer": one_customer,
    "one-customer-reads": one_customer_reads,
    "beside-others": beside_others,
    "report": report,
    "what-if": what_if,
    "fraud-screen": fraud_screen,
    "attribution": attribution,
    "monthly-run": monthly_run,
    "bills-issued": bills_issued,
    "bill-files": bill_files,
    "pages": pages,
    "bills-list": bills_list,
    "statement": statement,
    "memory": memory,
    "scale": scale,
    "storage": storage,
}
CURVES: dict[str, Callable[[Bench], Curve]] = {
    "curve-batch": curve_batch,
    "curve-stored": curve_stored,
    "curve-skew": curve_skew,
}
PROFILES: dict[str, Callable[[Bench], str]] = {"profile-worker": profile_worker, "profile-accept": profile_accept}
_NARROWEST = 150
_GROUPS = {"table": [*ROWS], "curves": [*CURVES], "profiles": [*PROFILES], "all": [*ROWS, *CURVES, *PROFILES]}


def main(
    what: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(_GROUPS['all'])}; or {', '.join(_GROUPS)} (default: table)")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="smallest sizes: does it still work?")] = False,
    full: Annotated[bool, typer.Option("--full", help="the sizes that the targets name; takes long")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="how often each measurement is made")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="worker processes")] = 3,
    leads: Annotated[int | None, typer.Option(help="leads in the rows that bill")] = None,
    stored: Annotated[int | None, typer.Option(help="actions stored in large-tables, plans and storage")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write everything that was measured")] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="put it into docs/performance.md and scaling.md")
    ] = False,
) -> None:
    """Measure on servers of its own, in a temporary folder, with load on 127.0.0.1 only; everything ends by itself."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # end in order, like Ctrl-C
    names = _chosen(what or ["table"])
    sizes = QUICK if quick else FULL if full else Sizes()
    sizes = replace(sizes, leads=leads or sizes.leads, stored_actions=stored or sizes.stored_actions)
    around = page.surroundings()
    figures: list[Figure] = []
    curves: list[Curve] = []
    texts: dict[str, str] = {}
    home = Path(tempfile.mkdtemp(prefix="leadger-bench-"))
    try:
        with running_servers(home) as servers:
            bench = Bench(servers, sizes, repeats, workers, texts=texts)
            for name in names:
                began = time.monotonic()
                try:
                    if name in ROWS:
                        figures += ROWS[name](bench)
                    elif name in CURVES:
                        curves.append(CURVES[name](bench))
                    else:
                        texts[name] = PROFILES[name](bench)
                except WrongTotals as error:
                    figures.append(Figure(name, "totals equal to the oracle's", "", [], meets=False, check=WRONG))
                    print(f"{name}: {error}")
                except Exception:  # the rows measured before and after it are worth keeping
                    figures.append(Figure(name, "can be measured", "", [], meets=False, check=FAILED))
                    traceback.print_exc()
                bench.say(f"{name} took {time.monotonic() - began:.0f} s")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print_figures(figures, curves, texts, sizes)
    if json_file:
        content = page.results(figures, curves, around) | {"texts": texts}
        json_file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if write_docs:
        page.write_page(names, figures, curves, around)
        for mark, text in texts.items():
            page.put(mark, text)
    raise typer.Exit(1 if any(figure.is_fault for figure in figures) else 0)


def _chosen(words: Sequence[str]) -> list[str]:
    names = [name for word in words for name in _GROUPS.get(word, [word])]
    if unknown := set(names) - set(_GROUPS["all"]):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: choose from {', '.join(_GROUPS['all'])}")
    return names


def print_figures(figures: Sequence[Figure], curves: Sequence[Curve], texts: dict[str, str], sizes: Sizes) -> None:
    """Print the table of targets with what was measured, the curves, and what else a row has to say."""
    console = Console()
    console.width = max(console.width, _NARROWEST)
    if figures:
        header, *lines = table(figures)
        shown = Table(*header, show_lines=True)
        for line in lines:
            shown.add_row(*line)
        console.print(shown)
        if smaller := smaller_than_the_targets(sizes):
            console.print(smaller, highlight=False)
        for figure in figures:
            for note in figure.notes:
                console.print(f"{figure.name}: {note}", markup=False, highlight=False)
        unbuilt = sum(figure.check == "not built yet" for figure in figures)
        met = sum(figure.meets is True for figure in figures)
        missed = sum(figure.meets is False for figure in figures)
        console.print(f"{met} targets met, {missed} missed, {unbuilt} not built yet", highlight=False)
    for curve in curves:
        for name, points in curve.series.items():
            listed = ", ".join(f"{x:g}: {y:,.0f}" for x, y in points)
            console.print(f"{curve.title} ({curve.y}), {name}: {listed}", markup=False, highlight=False)
    for mark, text in texts.items():
        console.print(f"\n{mark}\n\n{text}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
