"""Made-up masters and leads for development and load: the same plan gives the same bytes on every machine.

Names come from Faker, drawn once into pools; the leads are then plain random, some ten thousand a second. Leads, too,
are the same however many are drawn: the first thousand of a plan are the beginning of its first million.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from faker import Faker

_LEVELS = ("High", "Medium", "Low")
_CURRENCIES = ("EUR", "USD", "GBP", "CHF")
_TIMEZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Sydney")
_SOURCES = ("crm", "website", "events-app")
_WINDOWS = ("forever", "forever", "period", 30)
_PRODUCT_KINDS = ("Analytics", "Cloud", "CRM", "Insights", "Mobile", "Payments", "Security", "Support")
_MOST_PRODUCTS = len(_PRODUCT_KINDS)
_KNOWN_PARTNERS = 2  # most people deal with few partners and a few of their products
_FAVOURITES = 4
_SKEW = 1.5
_WITH_SOURCE = 0.03
_AGAIN = 0.12

ActionTypes = dict[str, tuple[int, int, int]]

LEAD_TYPES: dict[str, tuple[int, ActionTypes]] = {
    "Website Visit": (
        30,
        {"Page View": (0, 1, 9), "Form Submission": (8, 2, 0), "Download": (2, 7, 1), "Chat": (3, 5, 2)},
    ),
    "Social Media": (16, {"Like": (0, 1, 9), "Share": (1, 8, 1), "Comment": (2, 6, 2), "Follow": (0, 4, 6)}),
    "Email Campaign": (14, {"Open": (0, 1, 9), "Click": (3, 6, 1), "Reply": (8, 2, 0)}),
    "Newsletter": (8, {"Open": (0, 1, 9), "Click": (1, 7, 2), "Subscription": (2, 7, 1)}),
    "Webinar": (
        7,
        {"Registration": (1, 8, 1), "Attendance": (8, 2, 0), "Question": (9, 1, 0), "Replay View": (0, 4, 6)},
    ),
    "Referral": (6, {"Visit": (0, 4, 6), "Introduction": (3, 6, 1), "Signup": (9, 1, 0)}),
    "Event": (5, {"Registration": (1, 8, 1), "Attendance": (7, 3, 0), "Meeting": (9, 1, 0)}),
    "Demo Request": (4, {"Request": (9, 1, 0), "Scheduled": (7, 3, 0), "Attended": (10, 0, 0)}),
    "Trade Show": (3, {"Visit": (1, 7, 2), "Badge Scan": (0, 5, 5), "Meeting": (9, 1, 0)}),
    "Conference": (3, {"Registration": (1, 8, 1), "Attendance": (8, 2, 0), "Session": (1, 6, 3)}),
    "Feedback": (2, {"Survey": (1, 6, 3), "Review": (7, 3, 0), "Rating": (0, 3, 7)}),
    "Content Download": (1, {"Whitepaper": (3, 7, 0), "Case Study": (2, 6, 2)}),
    "Free Trial": (1, {"Signup": (9, 1, 0), "Activation": (9, 1, 0), "Login": (0, 3, 7)}),
}
"""Lead types with their weights, and their action types, each with its weights for High, Medium and Low."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make up; two plans that differ share no ids, so their leads never conflict."""

    seed: int = 42
    partners: int = 5
    customers: int = 2000
    months: int = 3
    first_month: str = "2024-04"

    @property
    def name(self) -> str:
        """The beginning of every id: short for the default plan, else with all that makes it another one."""
        if self == Plan(self.seed):
            return f"seed{self.seed}"
        month = self.first_month.replace("-", "")
        return f"seed{self.seed}-{self.partners}x{self.customers}x{self.months}-{month}"

    @property
    def start(self) -> datetime:
        """When the first lead may come."""
        return datetime.strptime(self.first_month, "%Y-%m").replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """When the last lead may come."""
        month = self.start.year * 12 + self.start.month - 1 + self.months
        return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)

    @property
    def periods(self) -> list[str]:
        """The months in which leads come."""
        first = self.start.year * 12 + self.start.month - 1
        return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(first, first + self.months)]

    def random(self, purpose: str) -> random.Random:
        """A source of chance of its own for each purpose."""
        return random.Random(f"{self.name} {purpose}")  # noqa: S311  # made-up leads are no secret


@dataclass(frozen=True, slots=True)
class Masters:
    """The bodies of the requests that create partners, products and customers."""

    partners: list[dict[str, Any]]
    products: list[dict[str, Any]]
    customers: list[dict[str, Any]]


def make_masters(plan: Plan) -> Masters:
    """The partners with their products, and the customers."""
    fake = Faker()
    fake.seed_instance(f"{plan.name} names")
    chance = plan.random("masters")
    partners = [_partner(plan, number, fake) for number in range(1, plan.partners + 1)]
    products = [
        {"external_id": f"{partner['external_id']}-{kind.lower()}", "partner": partner["external_id"], "name": kind}
        for partner in partners
        for kind in chance.sample(_PRODUCT_KINDS, chance.randint(3, _MOST_PRODUCTS))
    ]
    customers = [_customer(plan, number, fake) for number in range(1, plan.customers + 1)]
    return Masters(partners, products, customers)


def make_leads(plan: Plan, count: int) -> Iterator[bytes]:
    """The first `count` leads of the plan, each as one line of JSON."""
    return _Leads(plan, make_masters(plan)).lines(count)


def _partner(plan: Plan, number: int, fake: Faker) -> dict[str, Any]:
    return {
        "external_id": f"{plan.name}-partner-{number}",
        "name": fake.company(),
        "billing_email": f"billing@{fake.domain_word()}.example",
        "currency": _CURRENCIES[number // 2 % len(_CURRENCIES)],
        "timezone": _TIMEZONES[number % len(_TIMEZONES)],
        "dedup_window": _WINDOWS[number % len(_WINDOWS)],
    }


def _customer(plan: Plan, number: int, fake: Faker) -> dict[str, Any]:
    first, last = fake.first_name(), fake.last_name()
    return {
        "external_id": f"{plan.name}-customer-{number}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{number}@{plan.name}.example".lower().replace(" ", "-"),
    }


class _Leads:
    """Draws leads: a few customers have many, and people come back to the same products and actions."""

    def __init__(self, plan: Plan, masters: Masters) -> None:
        self._plan = plan
        self._chance = plan.random("leads")
        self._customers = [json.dumps(customer["external_id"]) for customer in masters.customers]
        self._favourites = self._choose_favourites(masters)
        self._types = list(LEAD_TYPES)
        self._type_weights = list(accumulate(weight for weight, _ in LEAD_TYPES.values()))
        self._actions = {name: _choices(actions) for name, (_, actions) in LEAD_TYPES.items()}
        self._start, self._span_s = plan.start, int((plan.end - plan.start).total_seconds())

    def lines(self, count: int) -> Iterator[bytes]:
        """JSON by hand, because every text in it is known to be plain."""
        chance, plan = self._chance, self._plan
        for number in range(count):
            place = int(len(self._customers) * chance.random() ** (1 + _SKEW))
            product = self._favourites[place][int(_FAVOURITES * chance.random() ** 2)]
            kind = chance.choices(self._types, cum_weights=self._type_weights)[0]
            at_s = int(self._span_s * chance.random())
            created = self._instant(at_s)
            actions = self._action_list(kind, at_s)
            source = f'"source":"{chance.choice(_SOURCES)}",' if chance.random() < _WITH_SOURCE else ""
            yield (
                f'{{"lead_id":"{plan.name}-{number:07d}",{source}"customer_id":{self._customers[place]},'
                f'"product_id":{product},"lead_type":"{kind}","created_at":"{created}","actions":[{actions}]}}'
            ).encode()

    def _action_list(self, kind: str, at_s: int) -> str:
        chance = self._chance
        choices, weights = self._actions[kind]
        chosen = chance.choices(choices, cum_weights=weights, k=1 + int(3 * chance.random() ** 2))
        if chance.random() < _AGAIN:
            chosen.append(chosen[0])  # somebody clicks twice
        actions = []
        for action_type, level in chosen:
            at_s += 1 + int(600 * chance.random())
            actions.append(
                f'{{"action_type":"{action_type}","engagement_level":"{level}","timestamp":"{self._instant(at_s)}"}}'
            )
        return ",".join(actions)

    def _instant(self, at_s: int) -> str:
        return (self._start + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _choose_favourites(self, masters: Masters) -> list[list[str]]:
        by_partner: dict[str, list[str]] = {}
        for product in masters.products:
            by_partner.setdefault(product["partner"], []).append(json.dumps(product["external_id"]))
        chance, partners = self._plan.random("favourites"), list(by_partner.values())
        known = min(_KNOWN_PARTNERS, len(partners))
        return [_some_products(chance, chance.sample(partners, known)) for _ in masters.customers]


def _some_products(chance: random.Random, partners: Sequence[Sequence[str]]) -> list[str]:
    return chance.choices([product for products in partners for product in products], k=_FAVOURITES)


def _choices(actions: ActionTypes) -> tuple[list[tuple[str, str]], list[int]]:
    pairs = [(name, level) for name in actions for level in _LEVELS]
    weights = [weight for weights in actions.values() for weight in weights]
    return pairs, list(accumulate(weights))
