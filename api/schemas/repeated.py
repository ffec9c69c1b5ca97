"""Finding names that a JSON object gives more than once; decoders keep the last value and say nothing."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from api.body import BOM

_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Object(dict[str, Any]):
    """A decoded object with the names that were given more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) < len(pairs):
            self.repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def go_on() -> None:
    """Take no rest."""


def repeated_names(body: bytes, rest: Callable[[], None] = go_on) -> list[str]:
    """JSON pointers of all names that are given more than once in a body; empty for one that cannot be decoded.

    `rest` is called after each element of a list.
    """
    found: list[str] = []
    try:
        for start, part in _parts(body.removeprefix(BOM)):
            found += _repeated_in(_decode(part), start)
            rest()
    except (ValueError, RecursionError):
        return []
    return found


def _parts(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What to decode at a time, with its pointer: of a list each element, because all take ten times their size."""
    if body.lstrip()[:1] != b"[":
        yield "#", body
        return
    for number, element in enumerate(_decode_elements(body)):
        yield f"#/{number}", bytes(element)


def _decode(text: bytes) -> Any:
    return json.loads(text, object_pairs_hook=_Object)


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
