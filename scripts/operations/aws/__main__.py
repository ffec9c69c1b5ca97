"""`scripts/on-aws`: the commands."""

from typing import Annotated

import typer

from db.access.api_keys import hash_of, new_secret
from scripts.console import console, note, one_message
from scripts.errors import CannotStart
from scripts.operations.aws.installation import Installation, find
from scripts.operations.aws.services import Services
from scripts.operations.aws.task import Task
from scripts.operations.aws.task import start as start_task
from scripts.operations.progress import Progress

app = typer.Typer(name="scripts/on-aws", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def main() -> None:
    """What only a task beside the database can do, on the installation that Terraform made from environments/aws.

    Where a command is done by a task, its log is shown, and its status is the command's. This machine needs Terraform,
    initialised there, and AWS credentials where the AWS command line has them.
    """


@app.command()
def migrate(
    rotate: Annotated[bool, typer.Option("--rotate", help="Put another login into the secret, too.")] = False,
) -> None:
    """Bring the database to the schema of the release, and see that the application's login works."""
    words = ["migrate", "--application-login", *(["--rotate"] if rotate else [])]
    with one_message():
        _run(find(), "migrate", words)


@app.command("first-key")
def first_key(
    name: Annotated[str, typer.Argument(help="What the key is for, so that you know it again.")] = "first",
) -> None:
    """Make the first API key, for everything. It is shown here once; only its checksum leaves this machine."""
    with one_message():
        secret = new_secret()
        digest = hash_of(secret).hex()
        task = _start(find(), "command", ["leadger", "keys", "create", name, "--first", "--sha256", digest])
        # Now, because a task that nobody follows to its end may store the checksum all the same.
        console().print(secret, markup=False, soft_wrap=True)
        note("That is the key, if the task ends well; it is shown only now.")
        _follow(task, note)


@app.command()
def backup() -> None:
    """Back everything up into the folder `backups` of the report files' bucket, while Leadger goes on."""
    with one_message():
        installation = find()
        _run(installation, "command", ["leadger", "backup", f"s3://{installation['report_files_bucket']}/backups"])


@app.command()
def restore(
    where: Annotated[str, typer.Argument(metavar="BACKUP", help="The name that `backup` printed: s3://…/leadger-….")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Restore into a database that is not empty; what it holds is lost.")
    ] = False,
) -> None:
    """Restore a backup, as the owner of the tables, and prove that it is what it was; `stop` comes before it."""
    with one_message():
        _run(find(), "migrate", ["leadger", "restore", where, *(["--replace"] if replace else [])])


@app.command()
def stop() -> None:
    """End api, workers and beat, and keep autoscaling from starting them."""
    with one_message():
        Services(find()).stop()
    note("api, workers and beat are gone; `scripts/on-aws start` brings them back.")


@app.command()
def start() -> None:
    """Start api, workers and beat again, with autoscaling."""
    with one_message():
        Services(find()).start()
    note("api, workers and beat run.")


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def leadger(context: typer.Context) -> None:
    """Run any other command of `leadger`, with the application's login.

    Nearly all of them need no task, and work from anywhere with LEADGER_URL and LEADGER_API_KEY.
    """
    with one_message():
        if context.args[:1] == ["keys"]:
            raise CannotStart(
                "Keys would be printed into a log: type `leadger keys` anywhere else, or `first-key` here."
            )
        _run(find(), "command", ["leadger", *context.args])


def _run(installation: Installation, role: str, words: list[str]) -> None:
    _follow(_start(installation, role, words), lambda line: console().print(line, markup=False, soft_wrap=True))


def _start(installation: Installation, role: str, words: list[str]) -> Task:
    task = start_task(installation, role, words)
    note(f"The task {task.name} begins in {installation.cluster}, which takes a minute.")
    return task


def _follow(task: Task, progress: Progress) -> None:
    try:
        task.follow(progress)
    except KeyboardInterrupt:
        note(f"Without you {task.goes_on}.")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app(prog_name="scripts/on-aws")
