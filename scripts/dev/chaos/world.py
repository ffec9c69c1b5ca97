"""Seeded partners, products, customers and leads: few enough to collide, so that duplicates and caps are everywhere."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.client import Client
from tests.oracle import CapScope, Oracle, Window

Lead = dict[str, Any]
"""A lead in the wire shape of `POST /leads`."""

MONTHS = (4, 5, 6)
"""The months of 2024 in which the actions of ordinary leads lie; the ones before are for closing."""

_CUSTOMERS = 120
_KINDS = (("Email Campaign", "Click"), ("Referral", "Signup"), ("Conference", "Attendance"), ("Webinar", "Question"))
_LEVELS = ("High", "Medium", "Low")
_REPEATED, _EXTENDED = 0.08, 0.16


@dataclass(frozen=True)
class Partner:
    """A partner with the terms that decide verdicts."""

    name: str
    cap: str | None = "100.00"
    cap_scope: CapScope = "period"
    window: Window = "forever"
    timezone: str = "UTC"

    @property
    def products(self) -> list[str]:
        """The ids of its products."""
        return [f"{self.name}-product-{number}" for number in range(3)]


class World:
    """The masters and leads of one fault; every id begins with `name`, so that worlds can share a database."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.partners = [
            Partner(f"{name}-plain"),
            Partner(f"{name}-monthly", cap="30.00", window="period"),
            Partner(f"{name}-weekly", cap=None, window=7),
            Partner(f"{name}-lifetime", cap="150.00", cap_scope="lifetime", timezone="America/New_York"),
        ]
        self._dice = random.Random(f"{name} {seed}")  # noqa: S311 - to be repeated, not to be secret
        self._sent: list[Lead] = []
        self._count = 0

    def create(self, client: Client) -> None:
        """Create the masters."""
        for path, body in self.masters():
            client.post(path, body)

    def masters(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Paths and bodies that create the masters; every second customer is left for the leads to describe."""
        for partner in self.partners:
            terms = {"cap": partner.cap, "cap_scope": partner.cap_scope, "dedup_window": partner.window}
            named = {"external_id": partner.name, "name": partner.name, "timezone": partner.timezone}
            yield "/api/partners", {**named, **terms}
            for product in partner.products:
                yield "/api/products", {"external_id": product, "partner": partner.name, "name": product}
        for number in range(0, _CUSTOMERS, 2):
            yield "/api/customers", {"external_id": self._customer(number), **self._person(number)}

    def teach(self, oracle: Oracle) -> None:
        """Give the masters to the oracle."""
        for partner in self.partners:
            oracle.add_partner(
                partner.name,
                timezone=partner.timezone,
                cap=partner.cap,
                cap_scope=partner.cap_scope,
                dedup_window=partner.window,
            )
            for product in partner.products:
                oracle.add_product(product, partner.name)
        for number in range(0, _CUSTOMERS, 2):
            oracle.add_customer(self._customer(number), self._person(number)["email"])

    def leads(
        self,
        count: int,
        *,
        partners: Sequence[Partner] = (),
        months: Sequence[int] = MONTHS,
        customer: int | None = None,
        fresh: bool = False,
    ) -> list[Lead]:
        """The next leads; some came before, word for word or with an action more, unless all must be `fresh`."""
        return [self._lead(partners or self.partners, months, customer, fresh) for _ in range(count)]

    def _lead(self, partners: Sequence[Partner], months: Sequence[int], customer: int | None, fresh: bool) -> Lead:
        luck = self._dice.random()
        if self._sent and luck < _EXTENDED and not fresh:
            known = self._dice.choice(self._sent)
            if luck < _REPEATED:
                return known
            return {**known, "actions": [*known["actions"], self._action(months, known["lead_type"])]}
        self._count += 1
        # The first customers come often, the last ones hardly ever.
        number = int(_CUSTOMERS * self._dice.random() ** 3) if customer is None else customer
        partner = self._dice.choice(partners)
        lead_type = self._dice.choice(_KINDS)[0]
        lead = {
            "lead_id": f"{self.name}-{self._count}",
            "customer_id": self._customer(number),
            "customer": self._person(number),
            "product_id": self._dice.choice(partner.products),
            "lead_type": lead_type,
            "actions": [self._action(months, lead_type) for _ in range(self._dice.randint(1, 3))],
        }
        if not fresh:
            self._sent.append(lead)
        return lead

    def _action(self, months: Sequence[int], lead_type: str) -> dict[str, str]:
        month = self._dice.choice(months)
        # The second day at the earliest, so that every time zone sees the same month.
        at = datetime(2024, month, 2, tzinfo=UTC) + timedelta(microseconds=self._dice.randrange(27 * 86_400_000_000))
        return {
            "action_type": dict(_KINDS)[lead_type],
            "timestamp": at.isoformat(),
            "engagement_level": self._dice.choice(_LEVELS),
        }

    def _customer(self, number: int) -> str:
        return f"{self.name}-customer-{number}"

    def _person(self, number: int) -> dict[str, str]:
        return {"name": f"Customer {number}", "email": f"{number}@{self.name}.example"}
