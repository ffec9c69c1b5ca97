"""`leadger fraud`, `held` and `attribution`, as a person types them."""

import json
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack


def leadger(stack: Stack, *words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words), env=stack.env)
    assert done.exit_code == status, done.output
    return done.output


def as_json(stack: Stack, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], env=stack.env)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_rule_is_armed_holds_a_burst_and_a_person_decides(stack: Stack) -> None:
    name = f"fraud-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": name})
        client.post("/api/customers", {"external_id": name, "name": "Ann", "email": f"{name}@mailinator.com"})
        clicks = [
            {"action_type": each, "engagement_level": "High", "timestamp": f"2024-04-01T10:0{number}:00Z"}
            for number, each in enumerate(("Visit", "Signup"))
        ]
        sent = {"lead_id": name, "customer_id": name, "product_id": name, "lead_type": "Ad", "actions": clicks}
        client.wait_for(client.post("/leads", sent)["status_url"])
    month = (name, "2024-04")
    csv = leadger(stack, "attribution", *month, "--csv", "--by", "action_type", "--model", "first").splitlines()
    assert [row.split(",")[0::14] for row in csv] == [["key", "credit"], ["Signup", "0.00"], ["Visit", "20.00"]]
    assert "Ad" in leadger(stack, "attribution", *month)

    armed = as_json(stack, "fraud", "arm", "disposable_domain")
    assert (armed["armed"], armed["threshold"]) == (True, 50)
    try:
        assert "2 of 2 actions" in leadger(stack, "fraud", "screen", *month)
        assert "disarm disposable_domain" in leadger(stack, "fraud", "measure", status=1)
    finally:
        leadger(stack, "fraud", "disarm", "disposable_domain")
    assert "actions=100" in leadger(stack, "fraud", "arm", "customer_burst", "--limit", "actions", status=1)
    assert "in shadow" in leadger(stack, "fraud", "rules")
    first, second = as_json(stack, "held", "list", "--partner", name)
    assert (first["rule"], first["facts"], first["value"]) == ("disposable_domain", {"disposable": 1}, "10.00")
    assert "2 held actions are worth 20.00 EUR" in leadger(stack, "held", "list", "--partner", name)

    action = first["action"]["action_id"]
    assert "1 actions are released." in leadger(stack, "held", "release", action, "--reason", "Ann called.")
    assert "one of both" in leadger(stack, "held", "confirm", "--reason", "x", status=1)
    by_rule = ("--partner", name, "--rule", "disposable_domain", "--reason", "A script.")
    assert [each["action"] for each in as_json(stack, "held", "confirm", *by_rule)] == [second["action"]["action_id"]]
    assert "Nothing is held." in leadger(stack, "held", "list", "--partner", name)


def test_honest_seeded_leads_are_screened_and_the_share_of_false_positives_is_printed(stack: Stack) -> None:
    seeded = ("--seed", "7", "--partners", "1", "--months", "1")
    leadger(stack, "seed", "--leads", "300", "--customers", "30", *seeded)
    measured = as_json(stack, "fraud", "measure", *seeded, "--customers", "30")
    assert (len(measured["rules"]), measured["actions"] > 400) == (10, True)
    assert sum(each["actions"] for each in measured["rules"]) == 0
    assert "false positive" in leadger(stack, "fraud", "measure", *seeded, "--customers", "30")
