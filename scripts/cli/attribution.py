"""`leadger attribution`: what a partner's month cost by lead type, product, action type, level or source."""

import sys
from typing import Annotated

import typer

from billing.attribution.models import By, Model
from scripts.cli.connection import api_command
from scripts.cli.parameters import Partner, Period
from scripts.cli.periods import month
from scripts.client import Client
from scripts.console import Json, add_row, new_table, print_list


@api_command
def attribution(
    client: Client,
    partner: Partner,
    period: Period,
    by: Annotated[By, typer.Option(help="What to group by.")] = By.LEAD_TYPE,
    model: Annotated[Model, typer.Option(help="How the cost of converting actions is credited.")] = Model.LINEAR,
    converting: Annotated[
        str | None, typer.Option(metavar="TYPES", help="Converting action types with commas between.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a partner's month cost and what led to it; the rows add up to the report."""
    asked = {"partner": partner, "period": month(period), "by": by, "model": model, "converting": converting}
    if as_csv:
        params = {name: value for name, value in asked.items() if value is not None} | {"format": "csv"}
        sys.stdout.write(client.send("GET", "/api/billing/attribution", params=params).text)
        return
    items = client.get("/api/billing/attribution", **asked)["items"]
    figures = ("Leads", "Actions", "Customers", "Gross", "Billed", "Savings", "Per customer", "Returned", "Credit")
    table = new_table((by.replace("_", " ").capitalize(), *figures), right=figures)
    for each in items:
        totals = each["totals"]
        counts = (f"{totals['leads']:,}", f"{totals['actions']:,}", f"{each['customers']:,}")
        money = (totals["gross"], totals["billed"], totals["savings"], each["cost_per_customer"])
        returned = each["return_rate"] and f"{100 * float(each['return_rate']):.2f} %"
        add_row(table, each["key"] or "(none)", *counts, *money, returned, each["credit"])
    print_list(items, False, table, f"{partner} has no actions in {period}.", as_json=as_json)
