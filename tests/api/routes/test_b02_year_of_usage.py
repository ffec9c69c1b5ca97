"""B2: a year of usage of four partners, entered and billed, asks for what was worked out by hand in its header."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from tests.api.office import TAXED, Office
from tests.api.world import get_all

YEAR = (Path(__file__).parents[3] / "samples/usage.csv").read_text().splitlines()
TERMS: dict[str, dict[str, object]] = {
    "acme": {"monthly_api_limit": 10_000, "overage_unit_cost": "0.012500", **TAXED},
    "globex": {"monthly_api_limit": 1_000_000, "overage_unit_cost": "0.000750"},
    "initech": {"monthly_api_limit": 0, "overage_unit_cost": "0.250000", "usage_sources": ["sms"]},
    "umbrella": {"monthly_api_limit": 5_000},
}
_HEADING = next(place for place, line in enumerate(YEAR) if line.split()[:2] == ["#", "partner"])
BY_HAND = {partner: sums for _, partner, *sums in (line.split() for line in YEAR[_HEADING + 1 : _HEADING + 5])}
BILLS = {"acme": 9, "globex": 8, "initech": 11, "umbrella": 0}
"""Of how many months the header says that something is to be paid."""


@pytest.mark.slow
async def test_b02_the_bills_of_the_sample_year_add_up_to_its_header(office: Office) -> None:
    post = office.client.post
    for partner, terms in TERMS.items():
        if partner != "acme":
            assert (await post("/api/partners", json={"external_id": partner, "name": partner})).status_code == 201
        begins = {"billing_from": "2024-01", "effective_period": "2024-01"}
        changed = await office.client.patch(f"/api/partners/{partner}", json=terms | begins)
        assert changed.status_code == 200, changed.text
    for row in csv.DictReader(line for line in YEAR if not line.startswith("#")):
        assert (await post("/api/usage", json=row | {"units": int(row["units"])})).status_code == 201
    for partner in TERMS:
        assert (await post("/api/bills", json={"partner": partner, "period": "2024-12"})).status_code == 202
    await office.work()
    for partner in TERMS:
        bills = await get_all(office.client, "/api/bills", partner=partner)
        sums = [f"{sum((Decimal(bill[name]) for bill in bills), Decimal('0.00'))}" for name in ("net", "tax", "gross")]
        assert (sums, len(bills)) == (BY_HAND[partner], BILLS[partner]), partner
