"""`leadger backup` and `leadger restore`: everything that Leadger knows, out and back in."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.cli.connection import home
from scripts.console import Json, console, note, one_message, print_json, progress, say_error

if TYPE_CHECKING:
    from scripts.operations.backup.manifest import Manifest

_PRIVATE = 0o077  # what backups hold is nobody else's business


def backup(
    where: Annotated[
        str, typer.Argument(help="A folder, or s3://bucket/folder; each backup gets a folder of its own.")
    ],
    as_json: Json = False,
) -> None:
    """Back up the database and the report files, while Leadger goes on.

    The database is the one of DATABASE_URL, or the embedded one of LEADGER_HOME. All tables are read in one snapshot;
    the manifest, with row counts and checksums, is written last.
    """
    with one_message():
        # The database's libraries take a second to load, which no other command should wait for.
        from scripts.operations.backup.create import back_up

        os.umask(_PRIVATE)
        with progress() as display:
            bar = display.add_task("", total=None)
            place, manifest = back_up(where, home(), lambda name: display.update(bar, description=name))
    for url in manifest.lost_files:
        note(f"This report file is gone or damaged, and not in the backup: {url}")
    if as_json:
        print_json({"backup": place} | _figures(manifest))
    else:
        console().print(f"{place} holds {_described(manifest)}.", soft_wrap=True, markup=False)


def restore(
    where: Annotated[str, typer.Argument(metavar="BACKUP", help="The folder that `leadger backup` made.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Restore into a database that is not empty; what it holds is lost.")
    ] = False,
    next_numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--next-number", metavar="NUMBER", help="The next number of a partner's bills, like ACME-0011; repeatable."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty database, and prove that it is what it was.

    The database is the one of DATABASE_URL, by a login that owns its tables, or of LEADGER_DATABASE_HOST and its
    administrator, as for `leadger migrate --application-login`, or the embedded one of LEADGER_HOME; API and workers
    must be stopped. Checksums are verified before anything is changed. The schema ends as the newest.
    Numbers of bills go on after those in the database that is replaced and in the folder of files; which were given out
    after the backup otherwise is for you to say. Status 1 also if a counter or a digest is not what it was.
    """
    with one_message():
        from scripts.operations.backup.restore import restore as bring_back

        with progress() as display:
            bar = display.add_task("", total=None)
            done = bring_back(
                where,
                home(),
                lambda name: display.update(bar, description=name),
                replace=replace,
                next_numbers=next_numbers or (),
            )
    for passed in done.passed_numbers:
        note(passed)
    if done.next_numbers:
        note(
            f"The next numbers of bills are {', '.join(done.next_numbers)}. Was a later one given out since "
            f"{done.manifest.taken_at:%Y-%m-%d %H:%M} UTC? Then restore again with --replace and --next-number, before "
            "anything is issued."
        )
    for difference in done.differences:
        say_error(difference)
    if as_json:
        numbers = {"passed_numbers": done.passed_numbers, "next_numbers": done.next_numbers}
        print_json(_figures(done.manifest) | numbers | {"wrong": done.differences})
    elif not done.differences:
        restored = f"{_described(done.manifest)} of {done.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        console().print(f"{restored} are back; counters and digests are what they were.", soft_wrap=True)
    if done.differences:
        raise typer.Exit(1)


def _figures(manifest: "Manifest") -> dict[str, object]:
    return {
        "taken_at": f"{manifest.taken_at:%Y-%m-%dT%H:%M:%SZ}",
        "schema": manifest.revision,
        "tables": len(manifest.tables),
        "rows": manifest.rows,
        "reports": len(manifest.reports),
        "report_files": len(manifest.files),
        "lost_report_files": manifest.lost_files,
    }


def _described(manifest: "Manifest") -> str:
    counted = f"{len(manifest.tables)} tables with {manifest.rows:,} rows"
    return f"{counted}, {len(manifest.reports):,} reports and {len(manifest.files):,} report files"
