"""The leads of a load, the same in every process: the load sends them, the oracle judges them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

import msgspec

from scripts.dev.bench.world import World

WireLead = dict[str, Any]

_START = datetime(2024, 4, 1, tzinfo=UTC)
_SPAN_US = 29 * 24 * 3600 * 1_000_000
_JITTER_US = 60_000_000
_LEVELS = ("High", "Medium", "Low")
_LEAD_TYPES = ("Website Visit", "Email Campaign", "Referral", "Conference")
_KNOWN_TYPES = ("Click", "Signup", "Attendance", "Download")


@dataclass(frozen=True)
class Traffic:
    """`leads` leads, rounded up to whole requests, of `actions` actions in requests of `batch` leads, over one month.

    `skew` is the exponent s of Zipf's law over the customers: 0 is uniform, with 2 one customer gets 61 % of all.
    `types` action types are in use. In rising order the instants rise from lead to lead but for a minute's jitter;
    `shuffled` scatters them over the month. `begin` and `end` are the shares of the month that the load takes: a second
    load on the same customers comes after the first, or all of it would be late. The customers before
    `first_customer` get none.
    """

    name: str
    world: World
    leads: int
    batch: int
    actions: int = 2
    skew: float = 0.0
    types: int = 12
    shuffled: bool = False
    begin: float = 0.0
    end: float = 1.0
    first_customer: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "leads", -(-self.leads // self.batch) * self.batch)

    @property
    def requests(self) -> int:
        """How many requests that makes."""
        return self.leads // self.batch

    def chunks(self) -> Iterator[list[WireLead]]:
        """The leads of each request, in order."""
        random = Random(f"{self.name} {self.seed}")  # noqa: S311 - a load is to be repeatable, not secret
        customers = range(self.first_customer, self.world.customers)
        weights = list(accumulate(1 / rank**self.skew for rank in range(1, len(customers) + 1)))
        types = [_action_type(number) for number in range(self.types)]
        for start in range(0, self.leads, self.batch):
            numbers = range(start, start + self.batch)
            chosen = random.choices(customers, cum_weights=weights, k=len(numbers))
            yield [
                self._lead(random, number, customer, types) for number, customer in zip(numbers, chosen, strict=True)
            ]

    def bodies(self) -> Iterator[bytes]:
        """Each request as JSON: one lead as it is, several as a list."""
        encode = msgspec.json.Encoder().encode
        return (encode(leads[0] if self.batch == 1 else leads) for leads in self.chunks())

    def _lead(self, random: Random, number: int, customer: int, types: list[str]) -> WireLead:
        partner = self.world.partner_of(customer)
        place = random.random() if self.shuffled else number / self.leads
        at_us = int(_SPAN_US * (self.begin + (self.end - self.begin) * place))
        return {
            "lead_id": f"{self.name}-{number}",
            "customer_id": self.world.customer(customer),
            "product_id": self.world.product(partner, random.randrange(self.world.products_per_partner)),
            "lead_type": random.choice(_LEAD_TYPES),
            "actions": [
                {
                    "action_type": random.choice(types),
                    "timestamp": _instant(at_us + random.randrange(_JITTER_US)),
                    "engagement_level": random.choice(_LEVELS),
                }
                for _ in range(self.actions)
            ],
        }


def to_plain(traffic: Traffic) -> dict[str, Any]:
    """As plain values, for another process."""
    return asdict(traffic)


def from_plain(values: dict[str, Any]) -> Traffic:
    """What `to_plain` gave."""
    return Traffic(**(values | {"world": World(**values["world"])}))


def _action_type(number: int) -> str:
    return _KNOWN_TYPES[number] if number < len(_KNOWN_TYPES) else f"Type {number}"


def _instant(after_us: int) -> str:
    return (_START + timedelta(microseconds=after_us)).isoformat()
