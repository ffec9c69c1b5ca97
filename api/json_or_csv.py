"""Bodies that come in more than one form, which the route reads itself: JSON as a model, or CSV."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.body import read_body
from api.problems import FieldError, Problem
from billing.csv_rows import InvalidRows

Model = TypeVar("Model", bound=BaseModel)
Rows = TypeVar("Rows")

CSV_TYPES = frozenset({"text/csv", "application/csv"})
_MOST_BYTES = 1024 * 1024


async def json_form(request: Request, model: type[Model]) -> Model:
    """The JSON body as a model, refused as FastAPI refuses it."""
    value = await request.json()
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(errors) from None


async def csv_text(request: Request, read: Callable[[str], Rows], most_bytes: int = _MOST_BYTES) -> Rows:
    """What `read` makes of a CSV body; Problem 400 that names the line of every bad row."""
    return await csv_rows(await read_body(request, most_bytes), read)


async def csv_rows(body: bytes, read: Callable[[str], Rows]) -> Rows:
    """What `read` makes of a CSV file; Problem 400 that names the line of every bad row."""
    try:
        return await run_in_threadpool(read, body.decode())  # a large file takes a while
    except UnicodeDecodeError:
        raise Problem(
            400, "The file is not UTF-8; save it as CSV in UTF-8.", [FieldError("#", "is not UTF-8")]
        ) from None
    except InvalidRows as error:
        errors = [FieldError(f"line:{line}", detail) for line, detail in error.faults]
        raise Problem(400, f"Line {error.faults[0][0]} {error.faults[0][1]}; nothing was done.", errors) from None
