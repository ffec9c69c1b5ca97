"""A row of the table: what was wanted, what was measured, and against which yardstick of the same run."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

WRONG, FAILED, GROWS = "WRONG", "FAILED", "GROWS"
"""What `check` says of faults of ours: they make the command fail, which a missed target does not."""


@dataclass
class Figure:
    """One measured quantity over the repeats. `yardsticks` were measured beside each of them."""

    name: str
    target: str
    unit: str
    values: list[float]
    meets: bool | None = None
    yardsticks: dict[str, list[float]] = field(default_factory=dict)
    dropped: int | None = None
    refused: int = 0
    check: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def measured(self) -> str:
        """Median (least to most)."""
        if not self.values:
            return "–"
        low, mid, high = min(self.values), median(self.values), max(self.values)
        return _shown(mid) + (f" ({_shown(low)} to {_shown(high)})" if len(self.values) > 1 else "") + f" {self.unit}"

    def ratio(self, yardstick: str) -> float:
        """The median over the repeats of measured / yardstick, each pair from the same repeat."""
        return median(mine / other for mine, other in zip(self.values, self.yardsticks[yardstick], strict=True))

    @property
    def ratios(self) -> str:
        """How it compares, in words."""
        return ", ".join(
            f"{self.ratio(name):.2f} × {name} ({_shown(median(v))})" for name, v in self.yardsticks.items()
        )

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong on any machine, not merely slow on this one."""
        return self.check in (WRONG, FAILED, GROWS)

    @property
    def verdict(self) -> str:
        """Whether the target is met on this machine, today."""
        return {True: "yes", False: "no", None: "–"}[self.meets]

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "median": median(self.values) if self.values else None,
            "ratios": {name: self.ratio(name) for name in self.yardsticks},
        }


COLUMNS: dict[str, Callable[[Figure], str]] = {
    "row": lambda figure: figure.name,
    "target": lambda figure: figure.target,
    "measured: median (least to most)": lambda figure: figure.measured,
    "ratio to the yardstick of the same run": lambda figure: figure.ratios,
    "met": lambda figure: figure.verdict,
    "dropped": lambda figure: "–" if figure.dropped is None else f"{figure.dropped:,}",
    "oracle": lambda figure: figure.check,
}


def table(figures: Sequence[Figure]) -> list[list[str]]:
    """Header and lines as text."""
    return [list(COLUMNS), *([column(figure) for column in COLUMNS.values()] for figure in figures)]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
