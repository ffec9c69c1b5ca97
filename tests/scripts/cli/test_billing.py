"""`leadger billing`, as a person types it, and the same from Python."""

import json
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from billing.errors import RuleViolation
from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack
from worker.billing_scheduler import get_billing_status, process_monthly_billing, process_shop_billing


def leadger(stack: Stack, *words: str) -> Result:
    return CliRunner().invoke(app, ["billing", *words], env=stack.env)


@pytest.fixture
def partner(stack: Stack) -> str:
    """A partner with one action of 10.00 in April 2024."""
    name = f"run-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": "Widget"})
        action = {"action_type": "Click", "engagement_level": "High", "timestamp": "2024-04-01T10:00:00Z"}
        lead = {
            "lead_id": name,
            "customer_id": name,
            "customer": {"name": "Ann", "email": f"{name}@example.com"},
            "product_id": name,
            "lead_type": "Visit",
            "actions": [action],
        }
        client.wait_for(client.post("/leads", lead)["status_url"])
    return name


def test_a_dry_run_then_the_run_then_the_status(stack: Stack, partner: str) -> None:
    dry = leadger(stack, "test", partner, "--dry-run", "--period", "2024-04")
    assert dry.exit_code == 0, dry.output
    assert (
        "1 processed: 1 successful, 0 failed, 0 skipped, 0 waiting. 10.00 EUR would be billed; nothing was"
        in dry.stdout
    )
    done = leadger(stack, "process", "--shop-ids", partner, "--period", "2024-04")
    assert done.exit_code == 0, done.output
    assert "10.00 EUR billed." in done.stdout
    again = json.loads(leadger(stack, "process", partner, "--period", "2024-04", "--json").stdout)
    assert (again["processed"], again["skipped"], again["totals"], again["dry_run"]) == (1, 1, {}, False)
    shown = leadger(stack, "status").stdout
    assert again["run_id"] in shown
    assert "The scheduler looks next at" in shown


def test_what_to_look_at_before_and_why_a_month_differs(stack: Stack, partner: str) -> None:
    with Client(stack.url, stack.key) as client:
        terms = {"monthly_api_limit": 1, "overage_unit_cost": "1.00", "end_date": "2024-03-31"}
        terms |= {"effective_period": "2024-04"}
        client.patch(f"/api/partners/{partner}", terms)
    found = json.loads(leadger(stack, "check", "--period", "2024-04", "--json").stdout)
    (own,) = [each for each in found if each["partner"] == partner]
    assert (own["usage_missing"], own["held"], own["quarantined"], own["dead_letters"]) == (True, 0, 0, 0)
    assert (own["after_end"], own["is_fine"]) == (1, False)
    shown = [line.split() for line in leadger(stack, "check", "--period", "2024-04").stdout.splitlines()]
    assert [line[-2:] for line in shown if line and line[0] == partner] == [["missing", "shipped"]]
    explained = json.loads(leadger(stack, "difference", partner, "2024-04", "--json").stdout)
    assert (explained["before"], explained["now"]) == ("0.00", "10.00")
    assert {cause: amount for cause, amount in explained["causes"].items() if amount != "0.00"} == {
        "new_customers": "10.00"
    }
    assert "new customers" in leadger(stack, "difference", partner, "2024-04").stdout


def test_two_months_or_a_month_that_has_not_ended_are_refused(stack: Stack, partner: str) -> None:
    both = leadger(stack, "process", partner, "--period", "2024-04", "--previous-month")
    assert (both.exit_code, "name two months" in both.output) == (1, True)
    future = leadger(stack, "process", partner, "--period", "2999-01")
    assert (future.exit_code, "January 2999 has not ended yet." in future.output) == (1, True)


async def test_the_same_from_python(stack: Stack, partner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", stack.database_url)
    monkeypatch.setenv("REDIS_URL", stack.redis_url)
    dry = await process_monthly_billing(shop_ids=[partner], period="2024-04", dry_run=True)
    assert (dry["state"], dry["successful"], dry["totals"]) == ("done", 1, {"EUR": "10.00"})
    live = await process_shop_billing(partner, "2024-04")
    assert [(each["partner"], each["total"]) for each in live["results"]] == [(partner, "10.00")]
    (known,) = await get_billing_status(live["run_id"])
    assert known == live
    assert live["run_id"] in [run["run_id"] for run in await get_billing_status()]
    with pytest.raises(RuleViolation, match="There is no partner 'nobody'"):
        await process_shop_billing("nobody")
