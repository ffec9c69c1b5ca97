"""The sample data: through the HTTP API into the engine, and its reports as tables in the terminal."""

import csv
import json
from pathlib import Path
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.client import Client, Refused, Unfinished

SAMPLES = Path(__file__).parents[2] / "samples"
_PARTNERS = ("globex", "acme")


def load(client: Client) -> None:
    """Create the sample masters, post the sample leads and wait for them; doing it again changes nothing.

    A master that somebody has changed since, or whose e-mail another one has, stays as it is. Raises Unfinished at once
    if the workers are paused.
    """
    masters = json.loads((SAMPLES / "masters.json").read_text())
    for kind in ("partners", "products", "customers"):
        for master in masters[kind]:
            try:
                client.post(f"/api/{kind}", master)
            except Refused as refused:
                if refused.status != httpx.codes.CONFLICT:
                    raise
    leads = json.loads((SAMPLES / "leads.json").read_text())
    for batch in (leads, leads_from_report_rows(masters)):
        sent = client.post("/leads", batch)
        if client.get("/api/workers")["pause"]:
            raise Unfinished("The workers are paused: the sample leads wait until `leadger resume`.")
        client.wait_for(sent["status_url"], timeout_s=60)


def leads_from_report_rows(masters: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the sample report as leads, one per row, without the verdicts that the sample lists."""
    partners = {partner["name"]: partner["external_id"] for partner in masters["partners"]}
    products = {(product["partner"], product["name"]): product["external_id"] for product in masters["products"]}
    customers = {customer["email"]: customer["external_id"] for customer in masters["customers"]}
    with (SAMPLES / "report-rows.csv").open(newline="") as file:
        return [
            {
                "lead_id": f"report-row-{number}",
                "customer_id": customers[row["customer_email"]],
                "product_id": products[partners[row["partner"]], row["product"]],
                "lead_type": row["lead_type"],
                "actions": [
                    {
                        "action_type": row["action_type"],
                        "timestamp": row["occurred_at"],
                        "engagement_level": row["engagement_level"],
                    }
                ],
            }
            for number, row in enumerate(csv.DictReader(file), start=1)
        ]


def print_reports(client: Client, console: Console) -> None:
    """Print the reports of the sample partners, each with its actions."""
    for partner in _PARTNERS:
        for report in reversed(list(client.pages("/billing/reports", partner=partner))):
            print_report(client, report, console)


def print_report(client: Client, report: dict[str, Any], console: Console) -> None:
    """Print one report as a table of actions with its totals."""
    text = client.send("GET", f"/billing/reports/{report['report_id']}", params={"format": "csv"}).text
    title = f"{report['partner_name']} · {report['period']} · {report['currency']}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    for heading in ("Customer", "Product", "Lead type", "Action", "Level"):
        table.add_column(heading)
    for heading in ("Amount", "Billed"):
        table.add_column(heading, justify="right")
    table.add_column("Status")
    for row in csv.DictReader(text.splitlines()):
        if row["row"] == "action":
            table.add_row(
                row["customer_email"],
                row["product"],
                row["lead_type"],
                row["action_type"],
                row["engagement_level"],
                row["amount"],
                row["billed"],
                row["status"],
            )
    totals = report["totals"]
    table.add_section()
    table.add_row("Total", "", "", "", "", totals["gross"], totals["billed"], "", style="bold")
    console.print(table)
    console.print(report["explanation"] + "\n", soft_wrap=True, highlight=False)
