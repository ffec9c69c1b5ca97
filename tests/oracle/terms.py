"""The terms of a partner, versioned per period (R16)."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal

from tests.oracle.values import minor_units

CapScope = Literal["period", "lifetime"]
Window = Literal["forever", "period"] | int
"""How far back a duplicate key counts: for ever, in the same own period, or a number of days."""


class Keep(Enum):
    """Says "as it was", because None already says "no cap"."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Terms:
    """What an action is judged by. `cap_minor` None: no cap."""

    cap_minor: int | None
    cap_scope: CapScope
    window: Window

    def changed(self, cap: str | Keep | None, cap_scope: CapScope | Keep, window: Window | Keep) -> "Terms":
        """These terms with the given fields replaced."""
        terms = self
        if cap is not KEEP:
            terms = replace(terms, cap_minor=None if cap is None else minor_units(cap))
        if cap_scope is not KEEP:
            terms = replace(terms, cap_scope=cap_scope)
        if window is not KEEP:
            terms = replace(terms, window=window)
        return terms


class TermsHistory:
    """Complete versions by the period they start with; the first version has no beginning."""

    def __init__(self, first: Terms) -> None:
        self._versions: list[tuple[str, Terms]] = [("", first)]

    def at(self, period: str) -> Terms:
        """The terms of a period: the latest version that starts with it or before it."""
        return next(terms for start, terms in reversed(self._versions) if start <= period)

    def put(self, from_period: str, terms: Terms) -> None:
        """Add a version, or replace the one of the same period. Later versions stay as they are."""
        others = [version for version in self._versions if version[0] != from_period]
        self._versions = sorted([*others, (from_period, terms)], key=lambda version: version[0])
