"""Lists that are sorted by their columns: links, which hold all that was asked for besides."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from api.pages.lists import link
from api.problems import FieldError, Problem

Order = TypeVar("Order", bound=StrEnum)


class Way(NamedTuple):
    """One way to sort: where its link leads, and by what it sorts, in words."""

    href: str
    words: str


class Head(NamedTuple):
    """The head of a column: how the list is sorted by it, if it is, and the way that its link leads."""

    following: Way
    aria_sort: str
    words: str


@dataclass(frozen=True, slots=True)
class Sorting:
    """How a list is sorted, and can be.

    `ways` are the orders, each in words that follow "sort by", the usual one first. An order is the name of a column,
    with a minus where the largest comes first.
    """

    path: str
    query: Mapping[str, object]
    order: str
    ways: Mapping[str, str]

    @property
    def usual(self) -> Way | None:
        """The way to the usual order; None in that."""
        usual = next(iter(self.ways))
        return None if self.order == usual else self._way(usual)

    @property
    def words(self) -> str:
        """By what it is sorted, in words."""
        return self.ways.get(self.order, "")

    @property
    def heads(self) -> dict[str, Head]:
        """The heads of the columns, by their names."""
        return {column: self._head(column) for column in dict.fromkeys(map(column_of, self.ways))}

    def _head(self, column: str) -> Head:
        ways = [each for each in self.ways if column_of(each) == column]
        if self.order not in ways:
            return Head(self._way(ways[0]), "", "")
        following = next((each for each in ways if each != self.order), next(iter(self.ways)))
        aria_sort = "descending" if self.order.startswith("-") else "ascending"
        return Head(self._way(following), aria_sort, self.ways[self.order])

    def _way(self, order: str) -> Way:
        return Way(link(self.path, {**self.query, "order": in_query(order, self.ways)}), self.ways[order])


def column_of(order: str) -> str:
    """The column that an order sorts by."""
    return order.removeprefix("-")


def in_query(order: str, ways: Mapping[str, str]) -> str:
    """An order as links have it: nothing for the usual one."""
    return "" if order == next(iter(ways)) else order


def order_from_text(text: str, kind: type[Order], usual: Order) -> Order:
    """The order that a form brings along; Problem 400 for a text that is none."""
    try:
        return kind(text) if text else usual
    except ValueError:
        raise Problem(400, "The list cannot be sorted so.", [FieldError("#/order", "is none")]) from None
