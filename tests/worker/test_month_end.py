"""From beat to an issued bill with its files, with the processes of production and a clock that goes faster."""

import time
from pathlib import Path
from typing import Any

import pytest

from scripts.client import Client
from scripts.local.embedded import valkey
from tests.databases import copy_statement, execute, url_of_database
from tests.stack import running_stack


@pytest.mark.slow
def test_m2_months_that_have_ended_are_billed_by_themselves_the_oldest_first(
    server_url: str, template: str, tmp_path: Path
) -> None:
    execute(server_url, copy_statement("test_month_end", template))
    database_url = url_of_database(server_url, "test_month_end")
    # As if the scheduler had been enabled before the month: what ended before waits for people.
    execute(database_url, "INSERT INTO billing_scheduler (enabled_at, looked_at) VALUES ('2024-01-01Z', '2024-01-01Z')")
    with valkey(tmp_path / "valkey", durable=False) as redis_url:
        faster = {"LEADGER_BILLING_INTERVAL_S": "1", "LEADGER_SNAPSHOT_INTERVAL_S": "1"}
        with (
            running_stack(database_url, redis_url, tmp_path / "home", **faster) as stack,
            Client(stack.url, stack.key) as client,
        ):
            client.send("PUT", "/api/seller", json={"name": "Leadger Ltd"})
            preferences = {"approvals": [], "auto_issue": True}
            client.post("/api/partners", {"external_id": "acme", "name": "Acme", "preferences": preferences})
            client.post("/api/products", {"external_id": "crm", "partner": "acme", "name": "CRM"})
            lead = {
                "lead_id": "1",
                "customer_id": "ann",
                "customer": {"name": "Ann", "email": "ann@example.com"},
                "product_id": "crm",
                "lead_type": "Visit",
                "actions": [
                    {"action_type": f"Click {month}", "engagement_level": "High", "timestamp": f"{month}-01T10:00:00Z"}
                    for month in ("2024-04", "2024-05", "2024-06")
                ],
            }
            client.post("/leads", lead)
            deadline = time.monotonic() + 60
            bills: list[dict[str, Any]] = []
            while len(bills) < 3 or not all(
                bill["state"] == "issued" and client.get(_url(bill))["files"] for bill in bills
            ):
                assert time.monotonic() < deadline, bills
                time.sleep(0.2)
                bills = client.get("/api/bills", partner="acme")["items"]
            assert sorted((bill["number"], bill["period"], bill["gross"]) for bill in bills) == [
                ("ACME-0001", "2024-04", "10.00"),
                ("ACME-0002", "2024-05", "10.00"),
                ("ACME-0003", "2024-06", "10.00"),
            ]
            (run, *_) = client.get("/api/billing-scheduler/status")["runs"][-1:]
            assert (run["trigger"], run["failed"], run["started_by"]["kind"]) == ("schedule", 0, "system")
            assert client.get("/api/billing-scheduler/health")["status"] == "ok"
    execute(server_url, "DROP DATABASE test_month_end WITH (FORCE)")


def _url(bill: dict[str, Any]) -> str:
    return f"/api/bills/{bill['bill_id']}"
