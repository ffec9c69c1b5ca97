"""Migrations; `alembic` on the command line does the same with DATABASE_URL."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

ROOT = Path(__file__).parents[2]


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for one database."""
    config = Config(toml_file=ROOT / "pyproject.toml", attributes={"database_url": database_url})
    config.set_main_option("script_location", str(ROOT / "alembic"))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run the missing migrations. Processes that call this at the same time wait for each other."""
    command.upgrade(alembic_config(database_url), revision)


def knows(revision: str) -> bool:
    """Whether this release has the migration that makes a revision."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return any(script.revision == revision for script in scripts.walk_revisions())


def downgrade(database_url: str, revision: str) -> None:
    """Undo migrations down to `revision`."""
    command.downgrade(alembic_config(database_url), revision)
