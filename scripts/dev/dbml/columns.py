"""A column: its type, its settings, its note."""

from collections.abc import Iterator

from sqlalchemy import BigInteger, Boolean, Column, Enum, Integer, Numeric, SmallInteger
from sqlalchemy.dialects import postgresql

from scripts.dev.dbml.notes import COLUMNS
from scripts.dev.dbml.text import in_brackets, quoted

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
_SHORT = {"timestamp with time zone": "timestamptz"}
_BARE = (BigInteger, Boolean, Integer, Numeric, SmallInteger)


def column_line(column: Column[object]) -> str:
    """One line of a table."""
    return f"{column.name} {_type(column)}" + in_brackets(list(_settings(column)))


def _settings(column: Column[object]) -> Iterator[str]:
    is_key = [column] == list(column.table.primary_key)
    if is_key:
        yield "pk"
    if column.identity is not None:
        yield "increment"
    elif column.server_default is not None:
        yield f"default: {_default(column)}"
    if not column.nullable and not is_key:
        yield "not null"
    if column.unique:
        yield "unique"
    if note := COLUMNS.get(f"{column.table.name}.{column.name}"):
        yield f"note: {quoted(note)}"


def _type(column: Column[object]) -> str:
    if isinstance(column.type, Enum):
        return str(column.type.name)
    name = column.type.compile(dialect=_DIALECT).lower().replace(", ", ",")
    name = _SHORT.get(name, name)
    return name if name.isidentifier() else f'"{name}"'


def _default(column: Column[object]) -> str:
    given = getattr(column.server_default, "arg", None)
    if not isinstance(given, str):
        return f"`{given}`"
    return given if isinstance(column.type, _BARE) else quoted(given)
