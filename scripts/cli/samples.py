"""`leadger samples`: the sample leads, billed by a running Leadger, their reports, and people of each role."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command, home
from scripts.client import Client
from scripts.console import console, note
from scripts.local.launcher.home import Home, add_logins, read_dev_env
from scripts.samples.sample_bills import leave_bill_waiting, name_seller
from scripts.samples.sample_leads import load, print_reports
from scripts.samples.sample_people import make_people


@api_command
def samples(
    client: Client,
    people: Annotated[
        bool | None,
        typer.Option(
            "--people/--no-people",
            help="Make a person of each role, too.",
            show_default="only where Leadger runs on a database of its own here",
        ),
    ] = None,
    month: Annotated[bool, typer.Option("--month", help="Leave the bill of acme for April 2024 waiting.")] = False,
) -> None:
    """Bill the sample leads and print their reports; doing it again changes nothing."""
    load(client)
    local = read_dev_env(home())
    is_own = local is not None and local.url == client.url and "admin" in local.logins
    if is_own if people is None else people:
        name_seller(client)
        _make_people(client, is_own)
    if month:
        leave_bill_waiting(client)
    print_reports(client, console())


def _make_people(client: Client, is_own: bool) -> None:
    """Keep their logins in dev.env, or else print them, because they are nowhere else."""
    made = make_people(client)
    if is_own:
        add_logins(Home(home()), made)
        return
    for role, login in made.items():
        note(f"{role}: {', '.join(login)} (shown only now)")
