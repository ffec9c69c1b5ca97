"""The oracle's side of a check, in a process of its own: `python -m scripts.dev.bench.expected JOB RESULT`.

It makes the same leads again from the parameters of the load, feeds the oracle those that were acknowledged, and
writes what must have been billed. It shares no code with `billing`, except the names that leads are given (R1), which
decide between two actions of the same instant.
"""

import sys
from pathlib import Path

import msgspec

from scripts.dev.bench.traffic import from_plain
from scripts.dev.bench.world import World
from tests.oracle import Oracle, Totals

PERIOD = "2024-04"


class Job(msgspec.Struct, frozen=True):
    """Loads on one database, each with the acknowledged requests' numbers. Every `sample`-th customer is judged."""

    loads: list[tuple[dict[str, object], list[int]]]
    sample: int


class Expected(msgspec.Struct, frozen=True):
    """What must have been billed: totals by customer and, if all customers were judged, by product."""

    leads: int
    actions: int
    customers: dict[str, dict[str, int]]
    products: dict[str, dict[str, int]]


def expected(job: Job) -> Expected:
    """Judge a job."""
    oracle = Oracle()
    world = _world(oracle, job)
    leads = actions = 0
    sampled = {world.customer(number) for number in range(0, world.customers, job.sample)}
    seen: dict[str, int] = {}
    for plain, acknowledged in job.loads:
        wanted = set(acknowledged)
        for number, chunk in enumerate(from_plain(plain).chunks()):
            if number not in wanted:
                continue
            leads += len(chunk)
            for lead in chunk:
                actions += len(lead["actions"])
                if lead["customer_id"] in sampled:
                    oracle.accept(lead)
                    seen[lead["customer_id"]] = seen.get(lead["customer_id"], 0) + 1
    customers = {}
    for customer in seen:
        partner = world.partner(world.partner_of(int(customer.rpartition("-")[2])))
        customers[customer] = _plain(oracle.customer_totals(partner, PERIOD, customer))
    products = {
        world.product(partner, number): _plain(
            oracle.product_totals(world.partner(partner), PERIOD, world.product(partner, number))
        )
        for partner in range(world.partners)
        for number in range(world.products_per_partner)
        if job.sample == 1
    }
    return Expected(leads, actions, customers, products)


def _world(oracle: Oracle, job: Job) -> World:
    world = from_plain(job.loads[0][0]).world
    for partner in range(world.partners):
        oracle.add_partner(world.partner(partner))
        for number in range(world.products_per_partner):
            oracle.add_product(world.product(partner, number), world.partner(partner))
    for number in range(0, world.customers, job.sample):
        oracle.add_customer(world.customer(number), world.email(number))
    return world


def _plain(totals: Totals) -> dict[str, int]:
    return {
        "leads": totals["leads"],
        "actions": totals["actions"],
        "gross": totals["gross"],
        "billed": totals["billed"],
        "duplicate_savings": totals["duplicate_savings"],
        "cap_savings": totals["cap_savings"],
        **{f"{outcome} actions": count for outcome, count in totals["outcomes"].items()},
    }


if __name__ == "__main__":
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(expected(job)))
