"""How big the measurements are: defaults that take 10 to 60 seconds a row, and a quick set for CI."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts per measurement."""

    singles: int = 6_000
    """Requests of one lead in `accept-single`."""
    batched_leads: int = 150_000
    """Leads in `accept-batch`, 500 a request."""
    leads: int = 60_000
    """Leads of two actions in the rows that bill."""
    offered_leads_per_s: float = 20_000
    """The open-loop rate of the rows that bill: above what is expected, so that the engine sets the pace."""
    customers: int = 10_000
    latency_s: float = 10.0
    """How long `latency` sends."""
    stored_actions: int = 1_000_000
    """Actions stored already in `large-tables`, `plans` and `storage`; the target says 10 M, which `--full` takes."""
    one_customer_actions: int = 20_000
    beside_partners: int = 200
    beside_quarantined: int = 5_000
    large_bodies: int = 24
    """Large bodies in `beside-others`, by turns of 1, 4, 16 and 17 MB."""
    report_actions: int = 200_000
    run_partners: int = 1_000
    bill_files: int = 300
    listed_bills: int = 100_000
    statement_documents: int = 1_000
    page_partners: int = 1_000
    """Partners behind the pages, each with a hundred actions and ten bills."""
    naive_leads: int = 1_500
    curve_leads: int = 20_000
    curve_stored: tuple[int, ...] = (0, 100_000, 1_000_000)
    oracle_actions: int = 400_000
    """Above this many actions the oracle judges a sample of the customers."""


QUICK = Sizes(
    singles=300,
    batched_leads=5_000,
    leads=2_000,
    offered_leads_per_s=8_000,
    customers=300,
    latency_s=2.0,
    stored_actions=20_000,
    one_customer_actions=2_000,
    beside_partners=10,
    beside_quarantined=500,
    large_bodies=4,
    report_actions=5_000,
    run_partners=50,
    bill_files=20,
    listed_bills=2_000,
    page_partners=20,
    naive_leads=60,
    curve_leads=500,
    curve_stored=(0, 5_000, 20_000),
)

FULL = Sizes(
    singles=20_000,
    batched_leads=200_000,
    leads=200_000,
    customers=50_000,
    latency_s=30.0,
    stored_actions=10_000_000,
    one_customer_actions=100_000,
    beside_partners=2_000,
    beside_quarantined=100_000,
    large_bodies=100,
    report_actions=1_000_000,
    run_partners=10_000,
    bill_files=1_000,
    page_partners=10_000,
    naive_leads=4_000,
    curve_leads=40_000,
    curve_stored=(0, 100_000, 1_000_000, 10_000_000),
)

_IN_TARGETS = {
    "stored_actions": "actions stored",
    "one_customer_actions": "actions of one customer",
    "beside_partners": "partners beside others",
    "beside_quarantined": "quarantined leads beside others",
    "large_bodies": "large bodies beside others",
    "report_actions": "actions in a report",
    "run_partners": "partners in a run",
    "listed_bills": "bills in lists",
    "page_partners": "partners behind the pages",
}
"""The sizes that the targets themselves name, in the targets' words."""


def smaller_than_the_targets(sizes: Sizes) -> str:
    """Which sizes are smaller than the targets name, in one line; empty if none is."""
    smaller = [
        f"{getattr(sizes, name):,} instead of {getattr(FULL, name):,} {what}"
        for name, what in _IN_TARGETS.items()
        if getattr(sizes, name) < getattr(FULL, name)
    ]
    return f"Smaller sizes than the targets name, which --full takes: {', '.join(smaller)}." if smaller else ""
