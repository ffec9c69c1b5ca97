"""docs/data-model.dbml is the tables, and a reader of DBML understands it."""

import asyncio
import re

import asyncpg
from pydbml import PyDBML

from db.core.tables import metadata
from scripts.dev.dbml.__main__ import FILE
from scripts.dev.dbml.dbml import dbml_from_tables
from scripts.dev.dbml.notes import COLUMNS, GROUPS, REFERENCES


def test_the_diagram_is_what_the_tables_are() -> None:
    assert FILE.read_text() == dbml_from_tables(), "run scripts/dbml"


def test_a_reader_of_dbml_sees_every_table_column_key_and_group() -> None:
    read = PyDBML(FILE.read_text())
    assert {table.name: [column.name for column in table.columns] for table in read.tables} == {
        table.name: table.c.keys() for table in metadata.tables.values()
    }
    keys = sum(len(table.foreign_key_constraints) for table in metadata.tables.values())
    assert len(read.refs) == keys + len(REFERENCES)
    assert {enum.name for enum in read.enums} == {"outcome", "standing"}
    assert [group.name for group in read.table_groups] == list(GROUPS)
    actions = next(table for table in read.tables if table.name == "actions")
    assert actions["outcome"].type is next(enum for enum in read.enums if enum.name == "outcome")
    assert "ck_actions_verdict" in actions.note.text


def test_every_table_has_a_note_and_no_note_is_about_nothing() -> None:
    assert sorted(table for notes in GROUPS.values() for table in notes) == sorted(metadata.tables)
    known = {f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.c}
    assert COLUMNS.keys() <= known


def test_the_references_by_trigger_are_those_of_the_database(database_url: str) -> None:
    async def triggers() -> set[str]:
        connection = await asyncpg.connect(database_url)
        try:
            rows = await connection.fetch("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'refuse_orphans_of_%'")
        finally:
            await connection.close()
        return {row["tgname"].removeprefix("refuse_orphans_of_") for row in rows}

    assert asyncio.run(triggers()) == set(REFERENCES)


def test_the_page_about_the_data_model_names_every_table() -> None:
    page = FILE.with_suffix(".md").read_text()
    assert set(metadata.tables) - set(re.findall(r"`(\w+)`", page)) == set()
