"""The monthly run of 10,000 partners: there is nothing to measure until it is built."""

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import Figure, not_built


def monthly_run(bench: Bench) -> list[Figure]:
    """Says so."""
    bench.say("monthly-run: not built yet")
    return [not_built("monthly run, 10,000 partners of 100 actions", "≤ 60 s; killed half way adds ≤ 10 %")]
