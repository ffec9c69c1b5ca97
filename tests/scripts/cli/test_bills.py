"""`leadger bills`, as a person types it: a month from open to issued."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from billing.bills.verify import difference_in_file
from scripts.cli.app import app
from scripts.client import Client
from tests.people import PASSWORD
from tests.stack import Stack


def leadger(stack: Stack, *words: str, **env: str) -> Result:
    return CliRunner().invoke(app, ["bills", *words], env=stack.env | env)


def as_json(stack: Stack, *words: str, **env: str) -> Any:
    done = leadger(stack, *words, "--json", **env)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def partner(stack: Stack) -> str:
    """A partner with one action of 10.00 in April 2024, and a seller who can bill it; a lead is in quarantine."""
    name = f"bills-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": "Widget"})
        client.send("PUT", "/api/seller", json={"name": "Leadger Ltd"})
        action = {"action_type": "Click", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
        lead = {
            "lead_id": name,
            "customer_id": name,
            "customer": {"name": "Ann", "email": f"{name}@example.com"},
            "product_id": name,
            "lead_type": "Visit",
            "actions": [action],
        }
        nobodys = lead | {"lead_id": f"{name} 2", "customer_id": f"{name} 2"}
        del nobodys["customer"]
        client.wait_for(client.post("/leads", [lead, nobodys])["status_url"])
    return name


def test_a_month_from_open_to_issued_in_five_commands(stack: Stack, partner: str, tmp_path: Path) -> None:
    who = f"{partner}@sales.example"
    words = ["users", "create", "Sam", who, "--role", "sales", "--password-stdin"]
    assert CliRunner().invoke(app, words, env=stack.env, input=f"{PASSWORD}\n").exit_code == 0
    month = (partner, "2024-04")
    made = leadger(stack, "make", *month)
    assert "10.00 EUR" in made.stdout, made.output
    assert "1 leads through 2024-04 are in quarantine: leadger quarantine list. Once decided" in made.stderr
    assert (
        f"The bill of {partner} for 2024-04 waits for Customer Success or Sales"
        in leadger(stack, "submit", *month).stdout
    )
    refused = leadger(stack, "approve", *month, "--as", who, LEADGER_PASSWORD="not this one at all")
    assert (refused.exit_code, refused.stdout) == (1, "")
    approved = leadger(stack, "approve", *month, "--as", who, "--comment", "Fine.", LEADGER_PASSWORD=PASSWORD)
    assert approved.stdout == f"The bill of {partner} for 2024-04 is approved: 10.00 EUR.\n"
    issued = as_json(stack, "issue", *month)
    assert issued["number"].endswith("-0001")
    with Client(stack.url, stack.key) as client:
        task = next(each for each in client.pages("/api/tasks") if each["kind"] == "bill_files")
        client.wait_for(f"/api/tasks/{task['task_id']}")
    file = tmp_path / "bill.json"
    assert leadger(stack, "download", *month, "--format", "json", "-o", str(file)).exit_code == 0
    assert difference_in_file(file.read_bytes()) is None
    equal = CliRunner().invoke(app, ["replay", issued["number"]], env=stack.env)
    assert (
        equal.stdout == f"{issued['number']} is what leads, rates, terms and usage give: every line, tax and total.\n"
    )
    unknown = CliRunner().invoke(app, ["replay", "NONE-0001"], env=stack.env)
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    with Client(stack.url, stack.key) as client:
        client.patch(f"/api/partners/{partner}", {"billing_email": f"{partner}@example.com"})
    shown = leadger(stack, "send", *month, "--dry-run").stdout
    assert f"Bill {issued['number']} for April 2024" in shown
    assert "Good day," in shown
    sent = leadger(stack, "send", *month)
    assert sent.stdout == f"{issued['number']} is on its way to {partner}@example.com.\n", sent.output
    moves = [each["move"] for each in as_json(stack, "history", *month)]
    assert moves == ["create", "submit", "approve", "issue", "send"]
    listed = CliRunner().invoke(app, ["mails", "list", "--json"], env=stack.env)
    assert issued["number"] in [each["number"] for each in json.loads(listed.stdout)]
    assert leadger(stack, "remind", "--dry-run").stderr == "No reminder is due.\n"
    assert leadger(stack, "remind").stdout == "0 reminders are on their way; 0 could not be sent.\n"
    retried = CliRunner().invoke(app, ["mails", "retry"], env=stack.env)
    assert retried.stdout == "0 mails are tried again.\n", retried.output
    assert [each["number"] for each in as_json(stack, "list", "--partner", partner)] == [issued["number"]]


def test_what_cannot_be_done_is_one_message(stack: Stack, partner: str) -> None:
    for words, said in (
        (("show", partner, "2024-04"), f"{partner} has no bill for 2024-04; `leadger bills make {partner} 2024-04`"),
        (("make", partner, "2024-13"), "A period is a month like 2024-04"),
        (("make", partner, "2024-03"), "Billing of this partner begins with April 2024."),
    ):
        done = leadger(stack, *words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert said in done.stderr
