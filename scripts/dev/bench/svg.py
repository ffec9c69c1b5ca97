"""A line chart as SVG text: axes from zero, a dot per measurement, colours that read on light and dark pages."""

from html import escape
from math import floor, log10

from scripts.dev.bench.rows.curves import Curve

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 44, 52
_COLOURS = ("#2f7ed8", "#b5651d", "#5b8c2a")
_GREY = "#888888"


def svg(curve: Curve) -> str:
    """Draw a curve."""
    highest = _ceiling(max(y for points in curve.series.values() for _, y in points))
    xs = sorted({x for points in curve.series.values() for x, _ in points})
    places = {x: _place(x, xs, curve.log) for x in xs}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_GREY}">',
        f"<title>{escape(curve.title)}</title>",
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(curve.title)}</text>',
    ]
    for part in range(5):
        value = highest * part / 4
        y = _y(value, highest)
        lines.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GREY}" stroke-opacity="0.3"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    for x, place in places.items():
        lines.append(f'<text x="{place:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_number(x)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(curve.x)}</text>')
    lines.append(f'<text x="{_LEFT}" y="36">{escape(curve.y)}</text>')
    for number, (name, points) in enumerate(curve.series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{places[x]:.1f},{_y(y, highest):.1f}" for x, y in points)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in points:
            label = f"{name}: {_number(y)} {curve.y} at {_number(x)} {curve.x}"
            dot = f'cx="{places[x]:.1f}" cy="{_y(y, highest):.1f}" r="4" fill="{colour}"'
            lines.append(f"<circle {dot}><title>{escape(label)}</title></circle>")
        at = _WIDTH - _RIGHT - 110 * (len(curve.series) - number - 1)
        lines.append(f'<text x="{at}" y="20" text-anchor="end" fill="{colour}">● {escape(name)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _place(x: float, xs: list[float], log: bool) -> float:
    """Where x stands; on a logarithmic axis 0 stands one power of ten left of the least other value."""
    if log:
        positive = [each for each in xs if each > 0]
        least = log10(positive[0]) - (1 if xs[0] == 0 else 0)
        share = (log10(x) - least if x > 0 else 0) / max(log10(positive[-1]) - least, 1e-9)
    else:
        share = (x - xs[0]) / max(xs[-1] - xs[0], 1e-9)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, highest: float) -> float:
    return _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _TOP - _BOTTOM)


def _ceiling(value: float) -> float:
    """The next round number: 1, 2, 4 or 8 times a power of ten."""
    power: float = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if value <= step * power)


def _number(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} M"
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"
