"""`leadger billing`, as a person types it, and the same from Python."""

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

import asyncpg
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
    assert (again["trigger"], again["trigger_source"]) == ("cli", "cli")
    shown = leadger(stack, "status").stdout
    assert again["run_id"] in shown
    assert "The scheduler looks next at" in shown


def test_the_status_of_a_run_says_whether_it_is_over(stack: Stack, partner: str) -> None:
    with Client(stack.url, stack.key) as client:
        client.post("/api/workers/pause", {"reason": "A test."})
        try:
            action = {"action_type": "Click", "engagement_level": "Low", "timestamp": "2024-04-02T10:00:00Z"}
            about = {"lead_id": f"{partner}-2", "customer_id": partner, "product_id": partner, "lead_type": "Visit"}
            client.post("/leads", about | {"actions": [action]})
            run = client.post("/api/billing-scheduler/process-shop-billing/" + partner, {"period": "2024-04"})
            assert "Not over yet, 0 of 0 processed: " in leadger(stack, "status", run["run_id"]).stdout
        finally:
            client.post("/api/workers/resume", {})
        client.wait_for(f"/api/tasks/{run['task_id']}")
    shown = leadger(stack, "status", run["run_id"]).stdout
    assert "\n1 processed: 1 successful, 0 failed, 0 skipped, 0 waiting. 12.00 EUR billed." in shown


def dead_letter(stack: Stack, partner: str) -> str:
    """April of the partner has failed three times; returns its id."""

    async def insert() -> str:
        connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
        try:
            item_id = await connection.fetchval(
                """
                WITH run AS (
                    INSERT INTO billing_runs (id, trigger, dry_run, who_kind, who_name, planned_at, completed_at)
                    VALUES (gen_random_uuid(), 'api', false, 'system', 'system', now(), now()) RETURNING id
                )
                INSERT INTO billing_run_items
                    (id, run_id, partner_id, period, portion, actions, attempts, outcome, error, finished_at)
                SELECT gen_random_uuid(), run.id, partners.id, 202404, 0, 1, 3, 'failed', 'Broken.', now()
                FROM run, partners WHERE external_id = $1 RETURNING id
                """,
                partner,
            )
        finally:
            await connection.close()
        return str(item_id)

    return asyncio.run(insert())


def run_once_over(stack: Stack, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        run: dict[str, Any] = json.loads(leadger(stack, "status", run_id, "--json").stdout)["runs"][0]
        if run["completed_at"]:
            return run
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("everything", [False, True])
def test_dead_letters_are_listed_and_billed_again(stack: Stack, partner: str, everything: bool) -> None:
    item_id = dead_letter(stack, partner)
    (letter,) = json.loads(leadger(stack, "dead-letters", "--json").stdout)
    assert (letter["id"], letter["partner"], letter["period"], letter["error"]) == (
        item_id,
        partner,
        "2024-04",
        "Broken.",
    )
    (shown,) = [line.split() for line in leadger(stack, "dead-letters").stdout.splitlines() if item_id in line]
    assert shown[:5] == [item_id, partner, "2024-04", "3", "Broken."]
    for words in ((), (item_id, "--all")):
        refused = leadger(stack, "retry", *words)
        assert (refused.exit_code, "one of both" in refused.output) == (1, True)
    (run,) = json.loads(leadger(stack, "retry", "--all" if everything else item_id, "--json").stdout)["runs"]
    ended = run_once_over(stack, run)
    assert (ended["trigger"], ended["successful"], ended["totals"]) == ("retry", 1, {"EUR": "10.00"})
    assert leadger(stack, "dead-letters").output == "There are no dead letters of runs.\n"
    again = leadger(stack, "retry", "--all" if everything else item_id)
    assert (again.exit_code, again.output) == (0, "Nothing of it is a dead letter now.\n")


def test_what_to_look_at_before_and_why_a_month_differs(stack: Stack, partner: str) -> None:
    with Client(stack.url, stack.key) as client:
        terms = {"monthly_api_limit": 1, "overage_unit_cost": "1.00", "end_date": "2024-03-31"}
        terms |= {"effective_period": "2024-04"}
        client.patch(f"/api/partners/{partner}", terms)
    found = json.loads(leadger(stack, "check", "--period", "2024-04", "--json").stdout)
    (own,) = [each for each in found if each["partner"] == partner]
    assert own["usage_missing"]
    assert [own[name] for name in ("waiting", "held", "quarantined", "dead_letters")] == [0, 0, 0, 0]
    assert (own["after_end"], own["is_fine"]) == (1, False)
    shown = [line.split() for line in leadger(stack, "check", "--period", "2024-04").stdout.splitlines()]
    assert ["Partner", "Waiting", "Quarantined"] in [line[:3] for line in shown]
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
