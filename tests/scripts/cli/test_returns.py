"""`leadger returns`, as a person types it."""

from pathlib import Path
from uuid import uuid4

from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.client import Client
from tests.scripts.cli.test_accounts import as_json, leadger
from tests.stack import Stack


def test_returns_are_asked_for_listed_and_decided(stack: Stack, tmp_path: Path) -> None:
    name = f"ret{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": name})
        clicks = [
            {"action_type": f"Click {n}", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
            for n in range(3)
        ]
        person = {"customer_id": name, "customer": {"name": name, "email": f"{name}@example.com"}}
        lead = {"lead_id": name, "product_id": name, "lead_type": "Visit", "actions": clicks} | person
        client.wait_for(client.post("/leads", lead)["status_url"])
        first, second, third = (each["action_id"] for each in client.get(f"/leads/{name}")["actions"])
        bound = client.post("/api/keys", {"name": name, "scopes": ["read"], "partner": name}, repeatable=False)["key"]
    theirs = {"LEADGER_API_KEY": bound}

    assert [
        each["state"] for each in as_json(stack, "returns", "ask", first, second, "--reason", "fraud", **theirs)
    ] == [
        "asked",
        "asked",
    ]
    assert [each["state"] for each in as_json(stack, "returns", "accept", first, "--reason", "Right.")] == ["returned"]
    assert (
        "1 refused" in CliRunner().invoke(app, ["returns", "refuse", second, "--reason", "No."], env=stack.env).output
    )
    file = tmp_path / "returns.csv"
    file.write_text(f"action;reason;text\n{third};invalid;No such street\n")
    assert as_json(stack, "returns", "import", str(file)) == [{"action": third, "state": "returned", "detail": None}]
    listed = {each["action"]: each for each in as_json(stack, "returns", "list", "--partner", name)}
    assert [(listed[each]["state"], listed[each]["answer"]) for each in (first, second, third)] == [
        ("returned", "Right."),
        ("refused", "No."),
        ("returned", None),
    ]
    assert "No such street" in leadger(stack, "returns", "list", "--partner", name, "--state", "returned")
