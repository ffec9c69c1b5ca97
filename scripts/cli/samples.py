"""`leadger samples`: the sample leads, billed by a running Leadger, and their reports."""

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import console
from scripts.samples.sample_leads import load, print_reports


@api_command
def samples(client: Client) -> None:
    """Bill the sample leads and print their reports; doing it again changes nothing."""
    load(client)
    print_reports(client, console())
