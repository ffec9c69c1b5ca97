"""A batch with all that makes the worker read: late leads, displaced winners, replays, strangers, conflicts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.dev.bench.traffic import WireLead
from scripts.dev.bench.world import World

_TYPES = 12
"""Of one customer's history: 12 different actions of 10.00, so that the cap of 100.00 is crossed."""
_OTHERS = 3
_FEW = 10

Actions = Sequence[tuple[str, str, str]]
"""(action type, level, day like "2024-04-05") of each action of a lead."""


@dataclass(frozen=True)
class Cast:
    """Who appears: `busy` customers with a history in the open month, and three times as many without one."""

    world: World
    name: str
    first: int
    busy: int

    @property
    def size(self) -> int:
        """How many customers of the world that takes, from `first` on."""
        return self.busy * (1 + _OTHERS)

    @property
    def few(self) -> int:
        """How many leads of each kind of problem the batch has."""
        return self.busy // _FEW

    @property
    def missing_product(self) -> str:
        """A product that nobody has created."""
        return f"missing-{self.name}"

    def history(self) -> list[WireLead]:
        """What is on record of the busy ones: past the cap, two actions to a lead."""
        return [self._past(customer, number) for customer in self._busy() for number in range(_TYPES // 2)]

    def batch(self) -> list[WireLead]:
        """The leads that are measured."""
        return [*self._known(), *self._strangers()]

    def outcome(self) -> dict[str, int]:
        """What must become of them."""
        half = self.busy // 2
        new = (3 + _OTHERS + 1) * self.busy + half
        return {"new": new, "extended": self.busy - half, "replayed": half, "quarantined": 3 * self.few}

    def _known(self) -> Iterator[WireLead]:
        for place, customer in enumerate(self._busy()):
            # Earlier than everything on record: a new winner before the crossing, and one that displaces another.
            yield self._lead(f"late-{customer}", customer, [("Late", "High", "2024-04-05"), _past_action(0, "05")])
            yield self._lead(f"duplicate-{customer}", customer, [_past_action(1, "20"), _past_action(2, "20")])
            later = [("Later", "Low", "2024-04-21"), ("Later", "Medium", "2024-04-21")]
            yield self._lead(f"later-{customer}", customer, later)
            if place < self.busy // 2:
                yield self._past(customer, 0)
            else:
                more = self._past(customer, 1)
                more["actions"].append(_wire(("More", "High", "2024-04-16")))
                yield more
            if place < self.few:
                yield self._past(customer, 2) | {"product_id": self._product(customer, 1)}
                yield self._lead(f"unknown-{customer}", customer, later) | {"product_id": self.missing_product}
                yield self._lead(f"nobody-{customer}", customer, later) | {"customer_id": f"nobody-{self.name}-{place}"}

    def _strangers(self) -> Iterator[WireLead]:
        plain = [("Click", "Low", "2024-04-22"), ("Signup", "Medium", "2024-04-22")]
        others = range(self.first + self.busy, self.first + self.size)
        for customer in others:
            yield self._lead(f"plain-{customer}", customer, plain)
        for customer in others[: self.busy // 2]:
            yield self._lead(
                f"closed-{customer}", customer, [("Old", "High", "2024-02-10"), ("Old", "Low", "2024-02-10")]
            )
        for number in range(self.busy):
            person = f"new-{self.name}-{number}"
            described = {"name": person, "email": f"{person}@example.com"}
            yield self._lead(person, number, plain) | {"customer_id": person, "customer": described}

    def _busy(self) -> range:
        return range(self.first, self.first + self.busy)

    def _past(self, customer: int, number: int) -> WireLead:
        day = f"{10 + number}"
        return self._lead(
            f"past-{customer}-{number}", customer, [_past_action(2 * number, day), _past_action(2 * number + 1, day)]
        )

    def _lead(self, name: str, customer: int, actions: Actions) -> WireLead:
        return {
            "lead_id": f"{self.name}-{name}",
            "customer_id": self.world.customer(customer),
            "product_id": self._product(customer, 0),
            "lead_type": "Referral",
            "actions": [_wire(action) for action in actions],
        }

    def _product(self, customer: int, number: int) -> str:
        return self.world.product(self.world.partner_of(customer), number)


def count_of_actions(leads: Sequence[WireLead]) -> int:
    """How many actions they carry."""
    return sum(len(lead["actions"]) for lead in leads)


def _past_action(number: int, day: str) -> tuple[str, str, str]:
    return f"Past {number}", "High", f"2024-04-{day}"


def _wire(action: tuple[str, str, str]) -> dict[str, str]:
    kind, level, day = action
    return {"action_type": kind, "engagement_level": level, "timestamp": f"{day}T12:00:00Z"}
