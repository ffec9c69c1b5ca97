"""The CSV file of a form."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from api.forms import sent_file
from api.json_or_csv import csv_rows
from api.problems import FieldError, Problem

Rows = TypeVar("Rows")
MOST_FAULTS = 20
"""So many bad lines are shown of a file."""


async def sent_csv(request: Request, read: Callable[[str], Rows]) -> Rows:
    """What `read` makes of the file in the field `file`; Problem 400 without one, or with its first bad lines."""
    file = sent_file(request, "file")
    if not file.name:
        raise Problem(400, "Choose a file.", [FieldError("#/file", "is missing: choose one")])
    try:
        return await csv_rows(file.content, read)
    except Problem as problem:
        errors = [FieldError(each.pointer.replace(":", " "), each.detail) for each in problem.errors]
        if more := len(errors) - MOST_FAULTS:
            errors[MOST_FAULTS:] = [FieldError(f"{more:,} more", "lines are wrong")] if more > 0 else []
        raise Problem(400, str(problem.detail), errors) from None
