"""What a bill of the samples needs: somebody who sells; and, if wanted, a bill that waits for its approval."""

import httpx

from scripts.client import Client, Refused

_SELLER = {"name": "Leadger Samples Ltd", "address": "1 Sample Street\nLondon", "iban": "GB33BUKB20201555555555"}
_PARTNER, _PERIOD = "acme", "2024-04"


def name_seller(client: Client) -> None:
    """Say who the bills are from, if nobody has."""
    try:
        client.get("/api/seller")
    except Refused as refused:
        if refused.status != httpx.codes.NOT_FOUND:
            raise
        client.send("PUT", "/api/seller", json=_SELLER)


def leave_bill_waiting(client: Client) -> None:
    """Make the bill of acme for April 2024 and submit it; one that is further on stays as it is."""
    answer = client.post("/api/bills", {"partner": _PARTNER, "period": _PERIOD}, repeatable=False)
    if "task_id" in answer:
        client.wait_for(answer["status_url"])
    (bill, *_) = client.get("/api/bills", partner=_PARTNER, period=_PERIOD)["items"]
    if bill["state"] == "draft":
        client.patch(f"/api/bills/{bill['bill_id']}/submit", {"digest": bill["digest"]})
