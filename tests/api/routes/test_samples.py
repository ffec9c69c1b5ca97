"""The four-lead sample, accepted unmodified, gives the figures of the worked example."""

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.intake import worker_batch
from db.ledger.policies import Policies
from scripts.samples.sample_leads import SAMPLES

LEADS = (SAMPLES / "leads.json").read_bytes()


async def test_the_four_lead_sample(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await client.post("/api/partners", json={"external_id": "globex", "name": "Globex"})
    for product in ("product-abc", "product-def", "product-xyz"):
        await client.post("/api/products", json={"external_id": product, "partner": "globex", "name": product})
    for customer in ("customer-123", "customer-456"):
        body = {"external_id": customer, "name": customer, "email": f"{customer}@example.com"}
        await client.post("/api/customers", json=body)
    accepted = await client.post("/leads", content=LEADS)
    assert accepted.status_code == 202, accepted.text
    assert await worker_batch.process_inbox(engine, policies, 1000) == 2  # two customers lie in two partitions
    status = (await client.get(accepted.json()["status_url"])).json()
    assert status["state"] == "done"
    assert status["leads"] == {"new": 4, "extended": 0, "replayed": 0, "quarantined": 0}
    billed = {}
    for report in (await client.get("/billing/reports", params={"partner": "globex"})).json()["items"]:
        for part in report["customers"]:
            totals = part["totals"]
            billed[part["customer"]["external_id"], report["period"]] = (totals["billed"], totals["duplicate_savings"])
    assert billed == {
        ("customer-123", "2024-04"): ("12.00", "10.00"),
        ("customer-123", "2024-05"): ("10.00", "0.00"),
        ("customer-456", "2024-04"): ("7.00", "0.00"),
    }
