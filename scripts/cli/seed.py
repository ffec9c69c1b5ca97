"""`leadger seed`: made-up masters and leads, through the API."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from billing.lead_files.lead_entries import Entry
from scripts.cli.connection import api_command
from scripts.cli.ingest.command import follow, print_counts
from scripts.cli.ingest.upload import Counts, Intake
from scripts.cli.report_tables import print_reports
from scripts.client import Client
from scripts.console import Json, console, note, print_json, progress
from scripts.errors import CannotStart

if TYPE_CHECKING:
    from scripts.samples.seed import Masters, Plan

_AT_ONCE = 8


@api_command
def seed(
    client: Client,
    leads: Annotated[int, typer.Option(min=0, help="How many leads.")] = 100_000,
    number: Annotated[int, typer.Option("--seed", help="The same seed gives the same leads, byte for byte.")] = 42,
    partners: Annotated[int, typer.Option(min=1, max=1000, help="How many partners.")] = 5,
    customers: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many customers.")] = 2000,
    months: Annotated[int, typer.Option(min=1, max=120, help="Over how many months the leads are spread.")] = 3,
    first_month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The first of these months.")] = "2024-04",
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Stop waiting when nothing was decided for so long.")
    ] = 120,
    as_json: Json = False,
) -> None:
    """Fill Leadger with made-up partners, products, customers and leads, and wait until all of them are billed.

    All kinds of leads are among them: website visits, social media, e-mail campaigns, newsletters, webinars, referrals,
    events, demo requests, trade shows, conferences, feedback and more; with duplicates, with customers over the cap and
    with leads from named sources. More leads of the same seed begin with the same ones, so it is safe to run it again.
    """
    # Only this command needs Faker, which takes a while to load.
    from scripts.samples.seed import Plan, make_masters

    plan = Plan(number, partners, customers, months, first_month)
    _check(plan)
    masters = make_masters(plan)
    with progress(MofNCompleteColumn()) as display:
        _post_masters(client, masters, display)
    counts, seconds = _post_leads(client, plan, leads, patience)
    if as_json:
        print_json(counts.to_json() | {"seconds": round(seconds, 3)})
    else:
        print_counts(counts, seconds)
        names = [partner["external_id"] for partner in masters.partners]
        reports = [report for name in names for report in client.pages("/billing/reports", partner=name)]
        print_reports(reports, None, console())
    if counts.waiting:
        raise CannotStart(f"{counts.waiting:,} leads are not decided yet; is a worker running? `leadger doctor` says.")


def _check(plan: "Plan") -> None:
    try:
        end = plan.end
    except ValueError:
        raise CannotStart(f"--first-month takes a month like 2024-04, and not {plan.first_month!r}.") from None
    if end > datetime.now(UTC):
        raise CannotStart("The last month is not over yet, and leads of the future are refused; begin earlier.")


def _post_masters(client: Client, masters: "Masters", display: Progress) -> None:
    kinds: dict[str, list[dict[str, Any]]] = {
        "partners": masters.partners,
        "products": masters.products,
        "customers": masters.customers,
    }
    for kind, bodies in kinds.items():
        bar = display.add_task(kind.capitalize(), total=len(bodies))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda body, kind=kind: client.post(f"/api/{kind}", body), bodies):
                display.advance(bar)


def _post_leads(client: Client, plan: "Plan", count: int, patience_s: float) -> tuple[Counts, float]:
    from scripts.samples.seed import make_leads

    started = time.monotonic()
    with progress(MofNCompleteColumn(), TextColumn("{task.fields[text]}")) as display:
        bar = display.add_task("Leads", total=count, text="")

        def show(counts: Counts) -> None:
            rate = counts.accepted / (time.monotonic() - started)
            display.update(bar, completed=counts.accepted, text=f"{rate:,.0f}/s, {counts.decided:,} decided")

        intake = Intake(client, on_progress=show)
        _add_all(intake, make_leads(plan, count))
        accepted_s = time.monotonic() - started
        follow(intake, display, patience_s)
    note(f"Accepted within {accepted_s:.1f} s, {count / max(accepted_s, 0.001):,.0f} per second.")
    return intake.counts, time.monotonic() - started


def _add_all(intake: Intake, lines: Iterable[bytes]) -> None:
    for line in lines:
        intake.add(Entry(line, ()))
    intake.flush()
