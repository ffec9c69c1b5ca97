"""The first difference of two contents of a bill, as one sentence: why it is stale, or what its proof found (B11)."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import NamedTuple

from billing.bills.canonical_json import Json

_ITEMS = {"lines": "line", "taxes": "tax block"}
_ABSENT = object()


class Difference(NamedTuple):
    """Where two values differ, in words, and how each reads there; None if it is not there.

    What has parts of its own reads "there".
    """

    where: str
    one: str | None
    other: str | None

    def sentence(self, one: str, other: str) -> str:
        """Say it, with how to name both sides: "net of line 2 is 10.00 on the bill and 12.00 now"."""
        if self.one is None or self.other is None:
            return f"{self.where} is there only {other if self.one is None else one}"
        return f"{self.where} is {self.one} {one} and {self.other} {other}"


def first_difference(one: Json, other: Json) -> Difference | None:
    """The first difference, in the order of the fields of `one`; None if both are equal."""
    return next(_differences("", one, other), None)


def _differences(where: str, one: object, other: object) -> Iterator[Difference]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in [*one, *(name for name in other if name not in one)]:
            yield from _differences(_named(where, name), one.get(name, _ABSENT), other.get(name, _ABSENT))
    elif isinstance(one, list) and isinstance(other, list):
        item = _ITEMS.get(where, f"{where} item")
        for number, (each, its_other) in enumerate(zip_longest(one, other, fillvalue=_ABSENT), start=1):
            yield from _differences(f"{item} {number}", each, its_other)
    elif type(one) is not type(other) or one != other:
        yield Difference(where, _read(one), _read(other))


def _named(where: str, name: str) -> str:
    words = name.replace("_", " ")
    return words if where in ("", "bill") else f"{words} of {where}"


def _read(value: object) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, Mapping | list):
        return "there"
    return "nothing" if value is None else str(value)
