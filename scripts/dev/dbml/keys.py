"""Indexes, unique keys and references."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Column, ForeignKeyConstraint, Index, Table, UniqueConstraint

from scripts.dev.dbml.text import in_brackets, names, quoted


def index_lines(table: Table) -> Iterator[str]:
    """The keys of several columns and the indexes of a table."""
    if len(table.primary_key) > 1:
        yield names(table.primary_key.columns.keys()) + in_brackets(["pk"])
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    for key in sorted(unique, key=_name):
        if not any(column.unique for column in key.columns):
            yield names(key.columns.keys()) + in_brackets(["unique", f"name: {quoted(_name(key))}"])
    for index in sorted(table.indexes, key=_name):
        indexed = [each.name if isinstance(each, Column) else f"`{each}`" for each in index.expressions]
        yield names(indexed) + in_brackets(list(_index_settings(index)))


def reference_lines(table: Table) -> Iterator[str]:
    """The foreign keys of a table."""
    for key in sorted(table.foreign_key_constraints, key=_name):
        keys = [element.column.name for element in key.elements]
        settings = [f"delete: {key.ondelete.lower()}"] if key.ondelete else []
        yield reference(table.name, key.column_keys, key.referred_table.name, keys) + in_brackets(settings)


def reference(child: str, columns: Sequence[str], parent: str, keys: Sequence[str]) -> str:
    """Many rows of `child` name one of `parent`."""
    return f"Ref: {child}.{names(columns)} > {parent}.{names(keys)}"


def _index_settings(index: Index) -> Iterator[str]:
    if index.unique:
        yield "unique"
    yield f"name: {quoted(_name(index))}"
    where = index.dialect_options["postgresql"]["where"]
    if where is not None:
        yield f"note: {quoted(f'where {where}')}"


def _name(key: Index | UniqueConstraint | ForeignKeyConstraint) -> str:
    return str(key.name)
