"""Leads with one kind of fraud planted into each, for the rule that must find it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.builders import Wire, lead

START = datetime(2024, 4, 10, 9, tzinfo=UTC)
HOUR, NIGHT, DAY = 60, -9 * 60 + 30, 24 * 60


@dataclass(frozen=True)
class Planted:
    """Limits of a rule, leads in which so many actions are guilty, and e-mails that are not who@example.com.

    `elsewhere` goes to another partner. Nothing of bob is guilty.
    """

    guilty: int
    leads: list[Wire]
    limits: Mapping[str, int] = field(default_factory=dict)
    emails: Mapping[str, str] = field(default_factory=dict)
    elsewhere: list[Wire] = field(default_factory=list)


def at(minutes: float) -> str:
    """So many minutes after 9 o'clock."""
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def clicks(customer: str, minutes: Iterable[float], *, action_type: str | None = None, **more: Any) -> list[Wire]:
    """A lead with one action for each instant, each of another type, created a minute before."""
    return [
        lead(
            None,
            (action_type or f"Click {number}", "Low", at(minute)),
            customer=customer,
            product="crm",
            **({"created_at": at(minute - 1)} | more),
        )
        for number, minute in enumerate(minutes)
    ]


_BOB = clicks("bob", (0, 190, 1000, 3000))
_BUSY_HOUR = (0, 1, 7, 13, 58)
_FAMILY = {"t1": "tom+1@x.example", "t2": "tom+2@x.example", "t3": "tom@x.example", "t4": "t.o.m@x.example"}

PLANTED = {
    "customer_burst": Planted(5, [*clicks("ann", (*_BUSY_HOUR, 61)), *_BOB], {"actions": 5}),
    "source_burst": Planted(
        5,
        [*clicks("ann", (*_BUSY_HOUR, 2 * HOUR, 3 * HOUR), source="app"), *clicks("bob", _BUSY_HOUR[:4], source="web")],
        {"actions": 5, "times_usual": 5},
    ),
    "regular_intervals": Planted(
        5, [*clicks("ann", range(0, 50, 10)), *clicks("bob", (0, 190, 1000, 3000, 3100))], {"actions": 5}
    ),
    "impossible_instants": Planted(
        1, [*clicks("ann", (0,), created_at=at(HOUR)), *clicks("bob", (0,), created_at=None), *_BOB]
    ),
    "disposable_domain": Planted(2, [*clicks("ann", (0, 9)), *_BOB], emails={"ann": "ann@x.mailinator.com"}),
    "many_partners": Planted(2, [*clicks("ann", (0, 9)), *_BOB], {"partners": 2}, elsewhere=clicks("ann", (5,))),
    "mailbox_family": Planted(
        2, [*(each for who in _FAMILY for each in clicks(who, (0,))), *_BOB], {"customers": 2}, _FAMILY
    ),
    "duplicate_rate": Planted(
        6, [*clicks("ann", (0, 3, 100, 107, 900, 1700), action_type="Open"), *_BOB], {"actions": 6, "percent": 80}
    ),
    "night_only": Planted(
        3,
        [
            *clicks("ann", (NIGHT, NIGHT + 30, NIGHT + DAY), source="app"),
            *clicks("bob", (-9 * HOUR, DAY - 9 * HOUR, 2 * DAY - 9 * HOUR), source="only days"),
            *clicks("bob", (NIGHT, 0, 5), source="web"),
        ],
        {"actions": 3},
    ),
    "test_row": Planted(2, [*clicks("ann", (0, 9)), *_BOB], emails={"ann": "test@fb.com"}),
}
