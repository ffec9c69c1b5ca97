"""`leadger what-if`, as a person types it."""

from uuid import uuid4

from scripts.client import Client
from tests.scripts.cli.test_accounts import as_json, leadger
from tests.stack import Stack


def test_other_settings_are_looked_at(stack: Stack) -> None:
    name = f"if{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": name})
        click = {"action_type": "Click", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
        person = {"customer_id": name, "customer": {"name": name, "email": f"{name}@example.com"}}
        lead = {"lead_id": name, "product_id": name, "lead_type": "Visit", "actions": [click]} | person
        client.wait_for(client.post("/leads", lead)["status_url"])
    months = ("what-if", name, "--from", "2024-04", "--to", "2024-04")
    prices = ("--rate", "engagement_level=High,action_type=click,12.00", "--cap", "none", "--window", "30")
    found = as_json(stack, *months, *prices)
    assert [(each["customer"], each["difference"]) for each in found["items"]] == [(name, "2.00")]
    assert found["sums"][0]["after"] == "12.00"
    shown = leadger(stack, *months, "--cap", "4.00", "--window", "period")
    assert shown.count("-6.00") == 2
