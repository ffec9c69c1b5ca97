"""B2: the sample year of usage through the whole system: entered, billed month by month, added up."""

import csv
from decimal import Decimal

import pytest

from tests.api.office import Office
from tests.api.world import get_all
from tests.billing.bills.test_b02_lines import YEAR

TERMS: dict[str, dict[str, object]] = {
    "acme": {
        "monthly_api_limit": 10_000,
        "overage_unit_cost": "0.0125",
        "tax": {"category": "S", "rate": "20.00"},
        "address": "2 Low Street\nBerlin",
    },
    "globex": {"monthly_api_limit": 1_000_000, "overage_unit_cost": "0.00075"},
    "initech": {"monthly_api_limit": 0, "overage_unit_cost": "0.25", "usage_sources": ["sms"]},
    "umbrella": {"monthly_api_limit": 5_000},
}


@pytest.mark.slow
async def test_b02_a_year_of_four_partners_is_billed_as_worked_out_by_hand(office: Office) -> None:
    for partner, terms in TERMS.items():
        await office.client.post("/api/partners", json={"external_id": partner, "name": partner})
        changed = await office.client.patch(
            f"/api/partners/{partner}", json=terms | {"billing_from": "2024-01", "effective_period": "2024-01"}
        )
        assert changed.status_code == 200, changed.text
    for row in csv.DictReader(line for line in YEAR if not line.startswith("#")):
        entered = await office.client.post("/api/usage", json={**row, "units": int(row["units"])})
        assert entered.status_code == 201, entered.text
    for partner in TERMS:
        made = await office.client.post("/api/bills", json={"partner": partner, "period": "2024-12"})
        assert made.status_code == 202, made.text
    await office.work()
    by_hand = [line.split() for line in YEAR]
    for partner in TERMS:
        bills = await get_all(office.client, "/api/bills", partner=partner)
        sums = [f"{sum(Decimal(each[name]) for each in bills):.2f}" for name in ("net", "tax", "gross")]
        assert ["#", partner, *sums] in by_hand
