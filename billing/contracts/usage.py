"""Usage (B2): units that others count, by source, and which of them a bill charges."""

from collections.abc import Collection, Mapping

from billing.errors import InvalidValue
from billing.texts import text_from_wire, text_key

LEADGER = "leadger"
"""The source that Leadger counts itself: the leads of the final report."""

LONGEST_SOURCE = 100
MOST_UNITS = 10**12
"""The most units that one entry may report."""


def source_from_wire(value: object) -> str:
    """The name of a source in lower case, so that "API" and "api" are one; raises InvalidValue."""
    return text_key(text_from_wire(value, LONGEST_SOURCE))


def reported_source_from_wire(value: object) -> str:
    """The same for a source that somebody reports; raises InvalidValue for the one that Leadger counts."""
    source = source_from_wire(value)
    if source == LEADGER:
        raise InvalidValue('must not be "leadger": those units are the leads of the final report')
    return source


def charged_by_source(units: Mapping[str, int], sources: Collection[str]) -> dict[str, int]:
    """The units of the sources that the terms name; where they name none, of all but Leadger's own."""
    return {source: count for source, count in units.items() if (source in sources if sources else source != LEADGER)}


def units_charged(units: Mapping[str, int], sources: Collection[str]) -> int:
    """The sum of these units."""
    return sum(charged_by_source(units, sources).values())
