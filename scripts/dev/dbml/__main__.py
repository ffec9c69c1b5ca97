"""Writes docs/data-model.dbml anew; its place is fixed, because a test compares the two."""

from pathlib import Path

from scripts.dev.dbml.dbml import dbml_from_tables

FILE = Path(__file__).parents[3] / "docs/data-model.dbml"

if __name__ == "__main__":
    FILE.write_text(dbml_from_tables())
