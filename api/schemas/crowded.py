"""Bodies that hold more values than leads of their size can, found before a value is decoded.

Decoded, a value of three bytes takes up to a hundred; sixteen megabytes of them would take half a gigabyte, which a
process never gives back. So a body that is crowded is counted first, and only as far as the limit.
"""

import re

from api.problems import Problem

_LEAST_BYTES = 64 * 1024
_CROWDED = 24
"""Bytes per comma or opening bracket. An action has three commas in eighty bytes; only very short leads have more."""
_LEAST_BYTES_PER_MARK = 8
"""No valid lead has as many brackets and commas as that, texts left out."""
_COUNTED_BYTES = 1024 * 1024
_DEEPEST = 64
_MOST_IN_A_ROW = 100
"""A lead has ten fields, an action four; nobody needs more names in one object."""
_MARK = re.compile(rb'(?s)"(?:[^"\\]|\\.)*+"?|[{}\[\],]')
"""A text, also one that does not end, so that no byte is looked at twice; a bracket; a comma."""


def occurrences(body: bytes, mark: bytes) -> int:
    """How often a byte occurs in a body of any size; other threads go on after each megabyte."""
    return sum(body.count(mark, start, start + _COUNTED_BYTES) for start in range(0, len(body), _COUNTED_BYTES))


def refuse_crowded(body: bytes, most_leads: int, most_in_a_row: int = _MOST_IN_A_ROW) -> None:
    """Problem 413 for a list of more leads than that, or for more values than a body of this size can have.

    No more values than `most_in_a_row` follow each other without a list or an object between them.
    """
    size = len(body)
    if size < _LEAST_BYTES or (
        occurrences(body, b",") * _CROWDED <= size
        and (occurrences(body, b"{") + occurrences(body, b"[")) * _CROWDED <= size
    ):
        return
    leads = depth = marks = in_a_row = 0
    is_list = body[:1024].lstrip()[:1] == b"["
    for match in _MARK.finditer(body):
        mark = body[match.start()]
        if mark == ord('"'):
            continue
        marks += 1
        in_a_row = in_a_row + 1 if mark == ord(",") and not (is_list and depth == 1) else 0
        if marks * _LEAST_BYTES_PER_MARK > size or in_a_row > most_in_a_row:
            raise Problem(413, "The body holds more values than leads of its size can have.")
        if mark in b"{[":
            depth += 1
            if depth > _DEEPEST:
                return  # the decoder refuses it
        elif mark in b"}]":
            depth -= 1
        elif depth == 1:
            leads += 1
            if is_list and leads >= most_leads:
                raise Problem(413, f"A request may hold {most_leads} leads at most; this one holds more.")
