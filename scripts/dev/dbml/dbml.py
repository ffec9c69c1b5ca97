"""The data model as DBML: enums, tables with their keys and checks, references, groups."""

from collections.abc import Iterator
from itertools import chain

from sqlalchemy import CheckConstraint, Enum, Table

from db.core.tables import metadata
from scripts.dev.dbml.columns import column_line
from scripts.dev.dbml.keys import index_lines, reference, reference_lines
from scripts.dev.dbml.notes import GROUPS, REFERENCES
from scripts.dev.dbml.text import block, quoted

_HEAD = "// Generated from db/core/tables by scripts/dbml; a test fails where the two differ."
_PROJECT = (
    "database_type: 'PostgreSQL'",
    "Note: 'Money is BIGINT minor units (_minor), instants are timestamptz (_at), periods are integers like 202404.'",
)
_NOTES = {table: note for notes in GROUPS.values() for table, note in notes.items()}


def dbml_from_tables() -> str:
    """The whole file."""
    tables = [metadata.tables[name] for name in _NOTES]
    enums = {
        str(kind.name): kind.enums for each in tables for column in each.c if isinstance(kind := column.type, Enum)
    }
    blocks = [
        _HEAD,
        block("Project leadger", _PROJECT),
        *(block(f"Enum {name}", enums[name]) for name in sorted(enums)),
        *(block(f"Table {table.name}", _table_lines(table)) for table in tables),
        "\n".join(chain.from_iterable(map(reference_lines, tables))),
        "\n".join(["// Kept by triggers, once per statement.", *(reference(*ends) for ends in REFERENCES.values())]),
        *(block(f'TableGroup "{group}"', notes) for group, notes in GROUPS.items()),
    ]
    return "\n\n".join(blocks) + "\n"


def _table_lines(table: Table) -> Iterator[str]:
    yield from map(column_line, table.c)
    if indexes := list(index_lines(table)):
        yield from ("", *block("indexes", indexes).splitlines())
    checks = sorted((str(each.name), each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint))
    if checks:
        listed = (f"- {name}: {condition}".replace("\\", "\\\\") for name, condition in checks)
        yield from ("", "Note: '''", _NOTES[table.name], *listed, "'''")
    else:
        yield from ("", f"Note: {quoted(_NOTES[table.name])}")
