"""The fonts of papers: files that packages of ours carry, and which characters they have.

Typst's own fonts have Latin, Greek and Cyrillic. These have the scripts that names are written in elsewhere.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from struct import iter_unpack, unpack_from

_PACKAGES = ("manimgx_fonts", "noto_cjk_sans_otc")
_OUTSIDE_ASCII = re.compile(r"[^\x00-\x7f]")
_SHOWS_NOTHING = {"Cf", "Cc", "Zs", "Zl", "Zp"}


def folders() -> list[Path]:
    """Where the files lie."""
    return [Path(str(files(package))) for package in _PACKAGES]


def spelled(text: str) -> str:
    """A text in which a character that no font has is named by its number, like [U+10348], and not lost in a box."""
    return _OUTSIDE_ASCII.sub(lambda found: found[0] if has(found[0]) else f"[U+{ord(found[0]):04X}]", text)


def has(character: str) -> bool:
    """Whether a character can be set."""
    ranges, number = _covered(), ord(character)
    place = bisect_left(ranges, number, key=lambda each: each[1])
    return unicodedata.category(character) in _SHOWS_NOTHING or (place < len(ranges) and ranges[place][0] <= number)


@cache
def _covered() -> list[tuple[int, int]]:
    """The ranges of characters that the fonts have, put together."""
    ranges: list[tuple[int, int]] = []
    found = (each for folder in folders() for file in folder.glob("*.tt[fc]") for each in _ranges_of(file.read_bytes()))
    for first, last in sorted(found):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
        else:
            ranges.append((first, last))
    return ranges


def _ranges_of(font: bytes) -> Iterator[tuple[int, int]]:
    """The ranges of a font's table `cmap`, in the formats 4 and 12; of a collection those of its first font."""
    start = unpack_from(">I", font, 12)[0] if font[:4] == b"ttcf" else 0
    tables = {font[at : at + 4]: unpack_from(">I", font, at + 8)[0] for at in _records(font, start + 4, start + 12, 16)}
    cmap = tables[b"cmap"]
    for at in _records(font, cmap + 2, cmap + 4, 8):
        table = cmap + unpack_from(">I", font, at + 4)[0]
        kind = unpack_from(">H", font, table)[0]
        if kind == 12:
            groups = unpack_from(">I", font, table + 12)[0]
            yield from ((first, last) for first, last, _ in iter_unpack(">III", font[table + 16 :][: groups * 12]))
        elif kind == 4:
            size = unpack_from(">H", font, table + 6)[0]
            lasts = unpack_from(f">{size // 2}H", font, table + 14)
            firsts = unpack_from(f">{size // 2}H", font, table + 16 + size)
            yield from ((first, last) for first, last in zip(firsts, lasts, strict=True) if first < 0xFFFF)


def _records(font: bytes, count_at: int, at: int, size: int) -> range:
    return range(at, at + unpack_from(">H", font, count_at)[0] * size, size)
