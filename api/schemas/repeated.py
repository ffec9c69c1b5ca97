"""Finding names that a JSON object gives more than once; decoders keep the last value and say nothing."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any


class _Object(dict[str, Any]):
    """A decoded object with the names that were given more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) < len(pairs):
            self.repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def repeated_names(body: bytes) -> list[str]:
    """JSON pointers of all names that are given more than once in a body; empty for one that cannot be decoded."""
    try:
        return list(_repeated_in(json.loads(body, object_pairs_hook=_Object), "#"))
    except (ValueError, RecursionError):
        return []


def _repeated_in(value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, _Object):
        for name in value.repeated:
            yield f"{pointer}/{_escaped(name)}"
        for name, each in value.items():
            yield from _repeated_in(each, f"{pointer}/{_escaped(name)}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _repeated_in(each, f"{pointer}/{number}")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
