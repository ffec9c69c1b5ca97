"""What one statement read: rows by table, found in the nodes of its plan."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.dev.bench.plans.gaps import asked, gap, serves

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Index:
    """The table of an index, its columns in their order, and the condition of the rows in it, if it leaves some out."""

    table: str
    columns: tuple[str, ...]
    of: str = ""


@dataclass(frozen=True)
class Scan:
    """One node that reads a table or an index; `rows` are those it looked at, also those it threw away."""

    node: str
    table: str
    rows: int
    gap: str = ""
    """The column that the index is asked for behind a gap, if no other index answers without one."""


@dataclass(frozen=True)
class Reading:
    """What a statement read, returned or changed, and how many pages of 8 kB it looked at."""

    scans: tuple[Scan, ...]
    returned: int
    pages: int
    taken_ms: float

    @property
    def read(self) -> int:
        """Rows of tables that were looked at."""
        return sum(scan.rows for scan in self.scans)

    @property
    def largest(self) -> Scan:
        """The node that looked at most."""
        return max(self.scans, key=lambda scan: scan.rows, default=Scan("–", "", 0))


def reading(plan: Plan, taken_ms: float, indexes: Mapping[str, Index]) -> Reading:
    """Read a plan in EXPLAIN's JSON; `indexes` are those that can occur in it, by their names."""
    scans = tuple(_scans(plan, indexes))
    top = plan["Plans"][0] if plan["Node Type"] in ("ModifyTable", "LockRows") and "Plans" in plan else plan
    pages = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    return Reading(scans, round(top["Actual Rows"] * top["Actual Loops"]), pages, taken_ms)


def most(readings: Iterable[Reading]) -> Reading:
    """The call that read most."""
    return max(readings, key=lambda each: (each.read, each.pages))


def _scans(plan: Plan, indexes: Mapping[str, Index]) -> Iterator[Scan]:
    kind = plan["Node Type"]
    if "Index Name" in plan:
        index = indexes[plan["Index Name"]]
        yield Scan(f"{kind} {plan['Index Name']}", index.table, _rows(plan), _gap(plan, index, indexes))
    elif "Relation Name" in plan and kind != "ModifyTable":
        yield Scan(kind, plan["Relation Name"], _rows(plan))
    for below in plan.get("Plans", ()):
        yield from _scans(below, indexes)


def _gap(plan: Plan, index: Index, indexes: Mapping[str, Index]) -> str:
    if "Index Cond" not in plan:
        return ""
    what = asked(plan["Index Cond"])
    # Where skipping costs nothing, either index will do for a server that skips; the others take that without a gap.
    alike = [each for each in indexes.values() if (each.table, each.of) == (index.table, index.of)]
    return "" if any(serves(what, each.columns) for each in alike) else gap(what, index.columns)


def _rows(plan: Plan) -> int:
    each: float = plan["Actual Rows"]
    thrown_away: float = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return round((each + thrown_away) * int(plan["Actual Loops"]))
