"""Profiles as tables of microseconds."""

from collections.abc import Mapping

from scripts.dev.bench.page import markdown
from scripts.dev.bench.profiling.clock import Clock, Spent
from scripts.dev.bench.profiling.sampler import Samples
from scripts.dev.bench.profiling.server_time import OnServer

_LEAST_SHARE = 0.004


def stage_table(clock: Clock, units: int, unit: str, total_s: float) -> str:
    """Microseconds per unit by stage: on the wall, of this process's CPU, and waiting for statements."""
    rows = [["stage", "calls", f"µs per {unit}", "of it CPU", "statements", "share"]]
    ordered = sorted(clock.stages.items(), key=lambda each: each[1].wall_s, reverse=True)
    for name, spent in ordered:
        if spent.wall_s > _LEAST_SHARE * total_s:
            rows.append([name, f"{spent.calls:,}", *_figures(spent, units), f"{spent.wall_s / total_s:.1%}"])
    known = Spent(
        wall_s=sum(spent.wall_s for spent in clock.stages.values()),
        cpu_s=sum(spent.cpu_s for spent in clock.stages.values()),
        statements_s=sum(spent.statements_s for spent in clock.stages.values()),
    )
    rows.append(["**all stages**", "", *_figures(known, units), f"{known.wall_s / total_s:.1%}"])
    return markdown(rows)


def statement_table(clock: Clock, server: Mapping[str, OnServer], units: int, unit: str, batches: int) -> str:
    """Microseconds per unit by statement: as the client sees it, its own CPU, and inside the server."""
    rows = [["statement", "per batch", f"µs per {unit}", "of it CPU here", "in the server", f"log bytes per {unit}"]]
    total_s = sum(spent.wall_s for spent in clock.statements.values())
    ordered = sorted(clock.statements.items(), key=lambda each: each[1].wall_s, reverse=True)
    for name, spent in ordered:
        if spent.wall_s > _LEAST_SHARE * total_s:
            there = server.get(name, OnServer(0, 0.0, 0))
            rows.append(
                [
                    f"`{name.replace('|', '¦')}`",
                    f"{spent.calls / batches:.1f}",
                    _us(spent.wall_s, units),
                    _us(spent.cpu_s, units),
                    _us(there.server_s, units),
                    f"{there.wal_bytes / units:,.0f}",
                ]
            )
    cpu_s = sum(spent.cpu_s for spent in clock.statements.values())
    server_s = sum(each.server_s for each in server.values())
    log_bytes = sum(each.wal_bytes for each in server.values())
    calls = sum(spent.calls for spent in clock.statements.values())
    totals = (*(_us(each_s, units) for each_s in (total_s, cpu_s, server_s)), f"{log_bytes / units:,.0f}")
    rows.append(["**all**", f"{calls / batches:.1f}", *totals])
    return markdown(rows)


def sample_tables(samples: Samples, units: int, unit: str, most: int = 18) -> str:
    """Where the samples fell: by package, by innermost function, and by function of ours with all it calls."""
    us = samples.cpu_s * 1e6 / units
    head = (
        f"{samples.count:,} samples; {us:.1f} µs of this process's CPU per {unit}, which is what is shared out below."
    )
    parts = [head]
    for title, counted in (
        ("package of the innermost function", samples.packages),
        ("innermost function", samples.innermost),
        ("function of ours, with all it calls", samples.ours),
    ):
        rows = [[title, f"µs per {unit}", "share"]]
        for name, count in counted.most_common(most):
            share = count / max(samples.packages.total(), 1e-9)
            rows.append([name, f"{share * us:.2f}", f"{share:.1%}"])
        parts.append(markdown(rows))
    return "\n\n".join(parts)


def _figures(spent: Spent, units: int) -> tuple[str, str, str]:
    return _us(spent.wall_s, units), _us(spent.cpu_s, units), _us(spent.statements_s, units)


def _us(seconds: float, units: int) -> str:
    return f"{seconds * 1e6 / units:.2f}"
