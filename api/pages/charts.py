"""Charts as SVG: where lines and labels go; `macros/chart.html` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 720, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 96, 26, 42
_STEPS = (1, 2, 5, 10)
_LINES = 4
_NEAREST = 24
_DIGIT = 14


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its class in the style, and its values in minor units; None where there is none yet."""

    name: str
    style: str
    values: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series with the place of its label."""

    name: str
    style: str
    points: str
    label_y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: lines, the marks of the axis as (y, value), the labels below as (x, text), and today's x."""

    lines: Sequence[Line]
    marks: Sequence[tuple[float, int]]
    labels: Sequence[tuple[float, str]]
    today_x: float | None
    left: float
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(labels: Sequence[str], series: Sequence[Series], today: int | None = None) -> Chart:
    """At most three lines over the same places, from zero; `today` is the place to mark."""
    most = max((value for each in series for value in each.values if value), default=0)
    top, step = _scale(most)
    left = max(_LEFT, _DIGIT * (len(f"{top // 100:,}") + 1))
    lines: list[Line] = []
    for each in series:
        values = [(at, value) for at, value in enumerate(each.values) if value is not None]
        spots = [(_x(at, len(labels), left), _y(value, top)) for at, value in values]
        end = spots[-1][1] if spots else _y(0, top)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        lines.append(Line(each.name, each.style, points, end))
    every = max(1, len(labels) // 6)
    return Chart(
        lines=_apart(lines),
        marks=[(_y(value, top), value) for value in range(0, top + 1, step)],
        labels=[(_x(at, len(labels), left), text) for at, text in enumerate(labels) if at % every == 0],
        today_x=None if today is None else _x(today, len(labels), left),
        left=left,
    )


def _apart(lines: Sequence[Line]) -> list[Line]:
    """The lines with their labels so far from each other that they can be read, and none below the axis."""
    apart: list[Line] = []
    for each in sorted(lines, key=lambda line: line.label_y):
        above = apart[-1].label_y if apart else -_NEAREST
        apart.append(replace(each, label_y=max(each.label_y, above + _NEAREST)))
    for at, each in enumerate(reversed(apart)):
        apart[-1 - at] = replace(each, label_y=min(each.label_y, HEIGHT - _BOTTOM - at * _NEAREST))
    return apart


def _scale(most: int) -> tuple[int, int]:
    """The top of the axis and the step of its marks: round figures of whole units, `most` at most one step below."""
    size = 100
    while True:
        for step in _STEPS:
            if step * size * _LINES >= most:
                return max(-(-most // (step * size)), 1) * step * size, step * size
        size *= 10


def _x(at: int, count: int, left: float) -> float:
    return round(left + at * (WIDTH - left - _RIGHT) / max(count - 1, 1), 1)


def _y(value: int, top: int) -> float:
    return round(HEIGHT - _BOTTOM - value * (HEIGHT - _TOP - _BOTTOM) / top, 1)
