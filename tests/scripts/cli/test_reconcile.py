"""`leadger reconcile`, as a person types it."""

from pathlib import Path
from uuid import uuid4

from scripts.client import Client
from tests.scripts.cli.test_accounts import as_json, leadger
from tests.stack import Stack


def test_a_partners_file_is_compared(stack: Stack, tmp_path: Path) -> None:
    name = f"rec{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": name})
        click = {"action_type": "Click", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
        person = {"customer_id": name, "customer": {"name": name, "email": f"{name}@example.com"}}
        lead = {"lead_id": name, "product_id": name, "lead_type": "Visit", "actions": [click]} | person
        client.wait_for(client.post("/leads", lead)["status_url"])
    file = tmp_path / "theirs.csv"
    file.write_text(f"lead;amount\n{name};9,50\nnot ours;1,00\n")
    asked = ("reconcile", str(file), "--partner", name, "--period", "2024-04")
    found = as_json(stack, *asked)
    assert (found["different"]["amount"], found["missing_here"]["rows"][0]["line"]) == ("0.50", 3)
    shown = leadger(stack, *asked)
    assert "Missing here:" in shown
    assert "not ours" in shown
