"""docs/performance.md and scaling.md: what is generated stands between its marks, the text around it is by hand."""

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.dev.bench.figures import Figure, table
from scripts.dev.bench.rows.curves import Curve
from scripts.dev.bench.svg import svg

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"
SCALING = PAGE.with_name("scaling.md")
DATA = PAGE.with_name("performance")


def surroundings() -> dict[str, Any]:
    """What the figures depend on beside the code. A load average above 0 at the start means: not alone."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_gb),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_average_before": round(os.getloadavg()[0], 1),
    }


def results(figures: Sequence[Figure], curves: Sequence[Curve], around: dict[str, Any]) -> dict[str, Any]:
    """All that was measured, for JSON."""
    return {
        "surroundings": around,
        "rows": [figure.to_plain() for figure in figures],
        "curves": [
            {"name": curve.name, "title": curve.title, "series": curve.series, "oracle": curve.check}
            for curve in curves
        ],
    }


def write_page(
    names: Iterable[str], figures: Sequence[Figure], curves: Sequence[Curve], around: dict[str, Any]
) -> None:
    """Put what was measured now into the page; rows and curves that were not measured now stay as they are.

    `names` are the rows that were measured: under its own name one stands there that could not be, until it can.
    """
    DATA.mkdir(exist_ok=True)
    kept_file = DATA / "rows.json"
    kept: dict[str, list[str]] = json.loads(kept_file.read_text()) if kept_file.exists() else {}
    when = f"{around['at'][:10]}, {around['cores']} cores, load before {around['load_average_before']}"
    header, *lines = table(figures)
    for name in names:
        kept.pop(name, None)
    kept |= {line[0]: [*line, when] for line in lines}
    kept_file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    for curve in curves:
        (DATA / f"{curve.name}.svg").write_text(svg(curve))
    text = _between(PAGE.read_text(), "table", markdown([[*header, "measured on"], *kept.values()]))
    images = [f"![{path.stem}](performance/{path.name})" for path in sorted(DATA.glob("*.svg"))]
    PAGE.write_text(_between(text, "curves", "\n\n".join(images) or "Not drawn yet."))


def put(mark: str, text: str) -> None:
    """Put a generated text between its marks, on the page that has them."""
    path = next((path for path in (PAGE, SCALING) if f"<!-- bench:{mark} -->" in path.read_text()), PAGE)
    path.write_text(_between(path.read_text(), mark, text))


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _between(page: str, mark: str, text: str) -> str:
    pattern = re.compile(rf"(<!-- bench:{mark} -->\n).*?(<!-- /bench:{mark} -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"no page has a place for {mark!r}")
    return pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)
