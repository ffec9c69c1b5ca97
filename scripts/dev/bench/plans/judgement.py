"""What must not be: a plan that reads a large table as a whole, far more than was asked for, or more and more.

Nor one that does so on a server older than the one that is measured, see `gaps`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from db.reports.leads_on_record import MOST_LEADS_SEARCHED
from db.telemetry.business_figures import MOST_COUNTED
from scripts.dev.bench.plans.reading import Reading, most

LARGE = 25_000
"""Rows from which on nobody may read a table as a whole; below, that may be cheaper than a batch of look-ups."""
_TIMES = 10
_SOME_ROWS = 1_000
_GROWTH = 2.0
_PAGES_OF_A_ROW = 5
"""Four levels of a B-tree and the row itself; whoever looks at more pages passes over what nobody asked for."""
_SOME_PAGES = 100


_BOUNDED = {
    "db.intake.backlog.leads · inbox": "counts what waits, at most LEADGER_MAX_INBOX_LEADS",
    "db.core.locks.lock_resolvable_quarantine_rows · quarantine": "looks through the quarantine, seldom",
    "db.intake.inbox.waiting_leads · inbox": "looks through what waits, at most LEADGER_MAX_INBOX_LEADS",
    "db.intake.inbox.waiting_up_to · inbox": "counts what waits, at most LEADGER_MAX_INBOX_LEADS",
    "db.telemetry.business_figures.read · inbox": "counts what waits, at most LEADGER_MAX_INBOX_LEADS",
    "db.telemetry.business_figures.read · quarantine": f"counts {MOST_COUNTED:,} open leads at most",
}
"""What may grow with something that has an end of its own; it may not read the table for that."""

_LOOKS_THROUGH = {
    "db.reports.leads_on_record.page · leads": f"looks through {MOST_LEADS_SEARCHED:,} leads and their actions at most",
}
"""What may read more than it is about, but no more the more is stored."""


@dataclass(frozen=True)
class Statement:
    """One statement of the product, by what it is asked for, who asks it and how it was planned."""

    path: str
    name: str
    mode: str

    def __str__(self) -> str:
        return f"{self.path}: {self.name} ({self.mode} plan)"


@dataclass(frozen=True)
class Judged:
    """A statement at a tenth of the rows (None if it was not run there) and at all, and what is wrong with it."""

    statement: Statement
    calls: int
    few: Reading | None
    many: Reading
    faults: list[str] = field(default_factory=list)
    bound: str = ""


def judge(
    statement: Statement, few: Sequence[Reading], many: Sequence[Reading], sizes: Mapping[str, int], asked: int
) -> Judged:
    """Look for faults in a statement's calls at a tenth of the rows, if it was run there, and at all.

    `sizes` are the rows of each table, `asked` is how many rows the statement is about.
    """
    worst, worst_of_few = most(many), most(few) if few else None
    faults = [
        *(
            f"scans {scan.table} ({sizes[scan.table]:,} rows) from its beginning"
            for scan in worst.scans
            if scan.node.startswith("Seq Scan") and sizes.get(scan.table, 0) >= LARGE
        ),
        *_gaps([*few, *many]),
    ]
    bound, looks_through = _BOUNDED.get(statement.name, ""), _LOOKS_THROUGH.get(statement.name, "")
    if not bound and not looks_through:
        faults += _too_much(worst, sizes, asked)
    if not bound and worst_of_few:
        faults += _growth(worst_of_few, worst, asked)
    return Judged(statement, len(many), worst_of_few, worst, faults, bound or looks_through)


def _gaps(readings: Sequence[Reading]) -> list[str]:
    # Of every call, because where the server skips, the one with the gap need not be the one that reads most.
    found = {(scan.node, scan.gap) for reading in readings for scan in reading.scans if scan.gap}
    return [
        f"{node} is asked for {column} behind a gap: PostgreSQL before 18 reads all that lies between"
        for node, column in sorted(found)
    ]


def _too_much(many: Reading, sizes: Mapping[str, int], asked: int) -> Iterator[str]:
    for scan in many.scans:
        if LARGE <= sizes.get(scan.table, 0) <= 2 * scan.rows:
            yield f"reads {scan.rows:,} of the {sizes[scan.table]:,} rows of {scan.table}"
    wanted = max(asked, many.returned)
    if many.largest.rows > _TIMES * wanted + _SOME_ROWS:
        yield f"reads {many.largest.rows:,} rows of {many.largest.table} for {wanted:,}"


def _growth(few: Reading, many: Reading, asked: int) -> Iterator[str]:
    if many.read > _GROWTH * few.read + _SOME_ROWS:
        yield f"read {few.read:,} rows when there was a tenth, now {many.read:,}"
    seen = max(few.pages, _PAGES_OF_A_ROW * (many.read + many.returned + asked))
    if many.pages > _GROWTH * seen + _SOME_PAGES:
        yield f"looked at {few.pages:,} pages when there was a tenth, now {many.pages:,}"
