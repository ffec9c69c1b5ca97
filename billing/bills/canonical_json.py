"""JSON in the one form that RFC 8785 gives it, for the values that a bill has: no fractions, no large numbers."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from billing.errors import InvalidValue

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

_LARGEST = 2**53 - 1
"""Beyond it other readers of JSON may take two numbers for one."""


def canonical_json(value: Json) -> bytes:
    """The bytes of a value: names in the order of their UTF-16 code units, no spaces, nothing escaped needlessly.

    Raises InvalidValue for floats, for integers beyond 2⁵³ − 1 and for lone surrogates.
    """
    try:
        return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("must not contain lone surrogates") from error


def _ordered(value: Json) -> Json:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise InvalidValue(f"must not have integers beyond {_LARGEST}")
        return value
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in _sorted(tuple(value))}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    raise InvalidValue(f"must not have a {type(value).__name__}: amounts are decimal strings")


@lru_cache
def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    """By their UTF-16 code units; most objects of a bill have the names of one before."""
    return tuple(sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass")))
