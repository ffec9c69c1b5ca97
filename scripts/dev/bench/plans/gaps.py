"""Whether an index is asked with a gap: for a column, but not for one value of each column before it.

PostgreSQL 18 then skips from value to value of what has no condition; before 18 it reads all that lies between.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

Asked = Sequence[tuple[tuple[str, ...], str]]
"""(columns, operator) of each condition; only a comparison of rows has several columns."""

_TEXT = re.compile(r"'(?:[^']|'')*'")
_CONDITION = re.compile(r"\((?:ROW\(([^)]*)\)|(\w+)) (=|[<>]=?|IS NULL|IS NOT NULL)")
_ONE_VALUE = ("=", "IS NULL")


def asked(condition: str) -> Asked:
    """What an index is asked, from the Index Cond of a plan. ValueError if that is not understood."""
    conditions = _TEXT.sub("''", condition)
    found = _CONDITION.findall(conditions)
    if len(found) != conditions.count(" AND ") + 1:
        raise ValueError(f"not all is understood of {condition}")
    return [(tuple(row.split(", ")) if row else (column,), operator) for row, column, operator in found]


def gap(what: Asked, columns: Sequence[str]) -> str:
    """The column that an index of `columns`, in their order, is asked for behind a gap; empty if there is none."""
    one_value = {row[0] for row, operator in what if operator in _ONE_VALUE}
    before = len(list(takewhile(one_value.__contains__, columns)))
    for row, _ in what:
        if row[0] not in columns[: before + 1]:
            return row[0]
        # Rows are compared in their own order, which narrows a search only as far as it is that of the index.
        start = columns.index(row[0])
        for column, expected in zip(row, columns[start:], strict=False):
            if column != expected:
                return column
    return ""


def serves(what: Asked, columns: Sequence[str]) -> bool:
    """Whether an index of `columns` answers all of it, without a gap."""
    return all(column in columns for row, _ in what for column in row) and not gap(what, columns)
