"""The colours of the pages: every pair that stands on each other can be read, light and dark."""

import re

import pytest

from scripts.dev.house_rules import ROOT

STYLES = ROOT / "api/pages/static"
TEXTS = [
    *((text, ground) for text in ("text", "quiet", "accent") for ground in ("ground", "surface", "quiet-ground")),
    ("bad", "ground"),
    ("bad", "surface"),
    ("text", "chosen"),
    ("accent", "chosen"),
    ("on-accent", "accent"),
    *((tone, f"{tone}-ground") for tone in ("waiting", "good", "bad")),
]
"""Letters and what they stand on: 4.5 to 1."""
EDGES = [("edge", "ground"), ("edge", "surface"), ("accent", "ground"), ("waiting", "waiting-ground")]
"""Borders of fields, the focus ring, icons: 3 to 1."""


def tokens(scheme: str) -> dict[str, str]:
    light, _, rest = (STYLES / "tokens.css").read_text().partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("@media")[0]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else found


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_stands_on_each_other_can_be_read(scheme: str) -> None:
    colours = tokens(scheme)
    low = [(pair, contrast(*(colours[name] for name in pair)), 4.5) for pair in TEXTS]
    low += [(pair, contrast(*(colours[name] for name in pair)), 3.0) for pair in EDGES]
    assert [each for each in low if each[1] < each[2]] == []


def test_light_and_dark_have_the_same_names() -> None:
    dark = (
        (STYLES / "tokens.css").read_text().partition("@media (prefers-color-scheme: dark)")[2].partition("@media")[0]
    )
    colours = set(tokens("light"))
    assert set(re.findall(r"--([a-z-]+):", dark)) == colours


def test_nothing_else_names_a_colour() -> None:
    for path in (*STYLES.glob("pages.css"), *(ROOT / "api/pages/templates").rglob("*.html")):
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^<]*>)|rgb\(|hsl\(", path.read_text()) == [], path


def test_nothing_else_names_a_size() -> None:
    style = "\n".join(line for line in (STYLES / "pages.css").read_text().splitlines() if not line.startswith("@media"))
    assert re.findall(r"[^;{]*\d(?:px|rem|em|ch|ms)\b", style) == []
