"""What one statement read: rows by table, found in the nodes of its plan."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Scan:
    """One node that reads a table or an index; `rows` are those it looked at, also those it threw away."""

    node: str
    table: str
    rows: int


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


def reading(plan: Plan, taken_ms: float, tables: Mapping[str, str]) -> Reading:
    """Read a plan in EXPLAIN's JSON; `tables` gives the table of each index."""
    scans = tuple(_scans(plan, tables))
    top = plan["Plans"][0] if plan["Node Type"] in ("ModifyTable", "LockRows") and "Plans" in plan else plan
    pages = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    return Reading(scans, round(top["Actual Rows"] * top["Actual Loops"]), pages, taken_ms)


def most(readings: Iterable[Reading]) -> Reading:
    """The call that read most."""
    return max(readings, key=lambda each: (each.read, each.pages))


def _scans(plan: Plan, tables: Mapping[str, str]) -> Iterator[Scan]:
    kind = plan["Node Type"]
    if "Relation Name" in plan and kind != "ModifyTable":
        index = f" {plan['Index Name']}" if "Index Name" in plan else ""
        yield Scan(kind + index, plan["Relation Name"], _rows(plan))
    elif kind == "Bitmap Index Scan":
        yield Scan(f"{kind} {plan['Index Name']}", tables.get(plan["Index Name"], "?"), _rows(plan))
    for below in plan.get("Plans", ()):
        yield from _scans(below, tables)


def _rows(plan: Plan) -> int:
    each: float = plan["Actual Rows"]
    thrown_away: float = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return round((each + thrown_away) * int(plan["Actual Loops"]))
