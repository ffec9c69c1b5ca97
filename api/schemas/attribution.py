"""Attribution on the wire."""

from typing import Any

from api.wire import amount_out, totals_out
from db.reports.attribution import Part


def part_out(part: Part) -> dict[str, Any]:
    """The part of one key."""
    return {
        "key": part.key,
        "totals": totals_out(part.totals, part.credited_minor),
        "customers": part.customers,
        "cost_per_customer": amount_out(part.cost_per_customer_minor),
        "return_rate": part.return_rate,
        "credit": amount_out(part.credit_minor),
    }
