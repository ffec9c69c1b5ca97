"""The statement of an account (B9): what was booked from one day to another, so that the past never changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from billing.bills.account import EntryKind


class Entry(NamedTuple):
    """One entry of the ledger: the day on which it was entered, its order, and what it adds to the account.

    `document` is the number of the bill or the reference of the payment; `paid_on` is shown and counts for nothing.
    """

    booked_on: date
    order: int
    kind: EntryKind
    document: str
    amount_minor: int
    paid_on: date | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """The entries in their order, each with the account after it; opening + entries = closing, in minor units."""

    opening_minor: int
    entries: list[tuple[Entry, int]]
    closing_minor: int


def statement(entries: Iterable[Entry], start: date, end: date, before_minor: int = 0) -> Statement:
    """The statement from `start` to `end`, both included; `before_minor` is the account before the first entry."""
    opening = before_minor
    lines: list[tuple[Entry, int]] = []
    for entry in sorted(entries, key=lambda entry: (entry.booked_on, entry.order)):
        if entry.booked_on < start:
            opening += entry.amount_minor
        elif entry.booked_on <= end:
            lines.append((entry, (lines[-1][1] if lines else opening) + entry.amount_minor))
    return Statement(opening, lines, lines[-1][1] if lines else opening)
