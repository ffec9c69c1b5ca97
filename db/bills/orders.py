"""The orders of a list of bills: what it is sorted by, and where a page of it begins."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from db.core.orders import Order

Place = tuple[date | datetime | int, UUID]
"""What a bill is sorted by, and its id."""


class BillOrder(Order):
    """What bills are sorted by; of equal ones the id decides.

    A bill without a due date is due after all others. Those of which nothing is open follow all others, the newest
    first; the other way round nobody asks for them, and each of the others would be looked at.
    """

    NEWEST = "-created"
    OLDEST = "created"
    FIRST_DUE = "due"
    LAST_DUE = "-due"
    LARGEST = "-gross"
    SMALLEST = "gross"
    MOST_OPEN = "-open"

    @property
    def parts(self) -> list["Part"]:
        """What the list is read from, one after the other."""
        return _PARTS[self.column]

    @property
    def place_kind(self) -> type[Place]:
        """The type of its places."""
        return _PLACE_KINDS[self.column]


@dataclass(frozen=True, slots=True)
class Part:
    """Bills that are sorted by one value of a kind; an index has them in this order for each state, or for all."""

    value: str
    kind: type
    tables: str = "bills"
    condition: str = "true"
    by_state: bool = False


_OPEN_RESTS = "(SELECT entry_id, rest_minor FROM account_rests WHERE rest_minor > 0) AS open_rests"
# Not by EXISTS, for which Postgres would rather read the whole account than look at a page of it.
_IS_CHARGE = """
    shown_state = 'issued' AND (SELECT amount_minor > 0 FROM account_entries WHERE account_entries.id = bills.id)
"""
_HAS_REST = "(SELECT rest_minor > 0 FROM account_rests WHERE entry_id = bills.id)"
_PARTS = {
    "created": [Part("created_at", datetime)],
    "due": [Part("coalesce(due_on, 'infinity')", date, by_state=True)],
    "gross": [Part("net_minor + tax_minor", int, by_state=True)],
    "open": [
        Part("rest_minor", int, f"{_OPEN_RESTS} JOIN bills ON bills.id = entry_id", _IS_CHARGE),
        Part("created_at", datetime, condition=f"({_IS_CHARGE} AND {_HAS_REST}) IS NOT TRUE"),
    ],
}
_PLACE_KINDS: dict[str, type[Place]] = {
    "created": tuple[datetime, UUID],
    "due": tuple[date, UUID],
    "gross": tuple[int, UUID],
    "open": tuple[int | datetime, UUID],
}
