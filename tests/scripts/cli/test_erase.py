"""`leadger erase`, as a person types it."""

import json
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from db.core.row_keys import customer_uuid
from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack


@pytest.fixture
def person(stack: Stack) -> str:
    """A customer with a billed lead; the id needs quoting in a URL."""
    name = f"erase/{uuid4().hex[:8]} ä"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": f"{name} partner", "name": "Acme"})
        client.post(
            "/api/products", {"external_id": f"{name} product", "partner": f"{name} partner", "name": "Product"}
        )
        action = {"action_type": "Visit", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
        lead = {
            "lead_id": f"{name} lead",
            "customer_id": name,
            "customer": {"name": "Ann [bold]", "email": f"{uuid4().hex}@example.com"},
            "product_id": f"{name} product",
            "lead_type": "Event",
            "actions": [action],
        }
        client.wait_for(client.post("/leads", lead)["status_url"], timeout_s=30)
    return name


def leadger(stack: Stack, *words: str, typed: str = "", status: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words), env=stack.env, input=typed)
    assert result.exit_code == status, result.output
    return result


def customer(stack: Stack, person: str) -> Any:
    with Client(stack.url, stack.key) as client:
        return client.get(f"/api/customers/{customer_uuid(person)}")


def test_it_asks_before_and_then_erases(stack: Stack, person: str) -> None:
    before = customer(stack, person)
    refused = leadger(stack, "erase", person, typed="n\n", status=1)
    assert f"Erase Ann [bold] ({before['email']}) for ever?" in refused.stderr
    assert refused.stderr.endswith("leadger: Nothing was erased.\n")
    assert customer(stack, person) == before
    done = leadger(stack, "erase", person, typed="y\n")
    shown = f"{customer_uuid(person)} has no name any more; 1 requests and 0 report files had named them.\n"
    assert done.stdout.endswith(shown)
    assert customer(stack, person)["name"] == "Erased"


def test_scripts_are_not_asked(stack: Stack, person: str) -> None:
    assert json.loads(leadger(stack, "erase", person, "--yes", "--json").stdout) == {"rows": 1, "files": 0}
    assert customer(stack, person)["email"].endswith("@erased.invalid")
    said = leadger(stack, "erase", "nobody", "--yes", status=1).stderr
    assert said == "leadger: There is no customer 'nobody'.\n"
