"""`leadger migrate`: the newest schema, and the login that Leadger itself uses."""

import os
from typing import Annotated

import typer

from scripts.console import console, note, one_message
from scripts.errors import CannotStart


def migrate(
    application_login: Annotated[
        bool,
        typer.Option(
            "--application-login",
            help="Also make the login that may read and write rows, and put its DATABASE_URL into AWS Secrets Manager. "
            "The database and its administrator are named by LEADGER_DATABASE_HOST, _PORT, _NAME, _ADMIN_USER and "
            "_ADMIN_PASSWORD, the secret by LEADGER_APPLICATION_LOGIN_SECRET_ARN.",
        ),
    ] = False,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate",
            help="Put another login into the secret. The one before works on until the next rotation, so replace the "
            "tasks that use it in between.",
        ),
    ] = False,
) -> None:
    """Bring the database of DATABASE_URL to the newest schema.

    Safe to run again and while Leadger runs: what is done stays done, and of two at the same time one waits.
    """
    with one_message():
        if application_login:
            _migrate_as_administrator(rotate)
        elif rotate:
            raise CannotStart("--rotate goes with --application-login.")
        else:
            _migrate()


def _migrate() -> None:
    # The database's libraries take a second to load, which no other command should wait for.
    from scripts.operations.database import migrate as migrate_database

    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        raise CannotStart("Name the database to migrate with DATABASE_URL; `scripts/run` migrates its own.")
    migrate_database(database_url, "DATABASE_URL")
    console().print("The schema is the newest.")
    _print_set_up_link(database_url, "DATABASE_URL")


def _migrate_as_administrator(rotate: bool) -> None:
    from scripts.operations.database import database_errors_as_one_message
    from scripts.operations.database import migrate as migrate_database
    from scripts.operations.migration.application_login import provide
    from scripts.operations.migration.settings import admin_settings

    settings = admin_settings()
    migrate_database(settings.admin_url, "LEADGER_DATABASE_HOST")
    with database_errors_as_one_message("LEADGER_DATABASE_HOST"):
        made = provide(settings, rotate=rotate)
    outcome = "is in the secret now; replace the tasks" if made.changed else "is in the secret and works"
    console().print(f"The schema is the newest. The login {made.login} {outcome}.", soft_wrap=True)
    _print_set_up_link(settings.admin_url, "LEADGER_DATABASE_HOST")


def _print_set_up_link(database_url: str, named_by: str) -> None:
    from scripts.local.first_admin import set_up_link
    from scripts.operations.database import database_errors_as_one_message

    with database_errors_as_one_message(named_by):
        link = set_up_link(database_url)
    if link:
        note(f"Nobody can sign in yet. Within a day this link makes the first Admin, once: {link}")
