"""Random histories of several partners: what callers send, what people do, and in which order workers see it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.periods import period_from_text
from tests.builders import Wire, action, person, unique
from tests.oracle import ActionRef
from tests.oracle.periods import following
from tests.world import World, again, forget_everything_waiting

MONTHS = ("2024-03", "2024-04", "2024-05", "2024-06")
CAPS = [None, "0.00", "0.01", "5.00", "17.00", "25.00", "100.00"]
WINDOWS: list[Any] = ["forever", "period", 1, 3, 10, 40]
ZONES = ["UTC", "UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/Sao_Paulo", "Europe/Berlin", "Asia/Kathmandu"]
LEVELS = ["High", "Medium", "Low", "HIGH", "low"]
TYPES = ["Click", "Signup", "cl\u00adICK\u00a0", "Demo", "Call"]
EVENTS = (
    ["close"] * 3
    + ["reopen"]
    + ["hold"] * 2
    + ["release"]
    + ["return"] * 3
    + ["correct"] * 2
    + ["terms", "rate", "master"]
    + ["time zone"] * 2
    + ["person", "erasure", "rebuild"]
)
AT_ANY_MOMENT = ["product", "product", "customer", "customer", "erasure", "rebuild", "name"]
"""Events that may happen while work runs: no verdict depends on the moment."""
LEAD_TYPES = ["Website Visit", "Referral", "Email Campaign"]

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Cast:
    """Who takes part in one history."""

    partners: list[str]
    products: dict[str, str]
    customers: dict[str, str]
    """The present e-mail of each; none of an erased person."""
    missing_products: dict[str, str]
    missing_customers: dict[str, str]
    known: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    former_emails: list[str] = field(default_factory=list)

    def emails(self) -> list[str]:
        """The e-mails in use."""
        return sorted({email for email in self.customers.values() if email})


def terms(draw: Draw) -> dict[str, Any]:
    """Random terms."""
    return {
        "cap": draw(st.sampled_from(CAPS)),
        "cap_scope": draw(st.sampled_from(["period", "period", "lifetime"])),
        "dedup_window": draw(st.sampled_from(WINDOWS)),
    }


async def begin(draw: Draw, engine: AsyncEngine, *, partners: int = 2) -> tuple[World, Cast]:
    """A world with partners, products, customers and rates, none of them used by another example."""
    await forget_everything_waiting(engine)
    world = World(engine)
    cast = Cast([], {}, {}, {}, {})
    for _ in range(draw(st.integers(1, partners))):
        partner = unique("partner")
        cast.partners.append(partner)
        agreed = terms(draw)
        zone = draw(st.sampled_from(ZONES))
        note(f"{partner} {zone} {agreed}")
        await world.partner(partner, timezone=zone, **agreed)
        for _ in range(draw(st.integers(1, 2))):
            product = unique("product")
            cast.products[product] = partner
            await world.product(product, partner)
        cast.missing_products[unique("product")] = partner
        if draw(st.booleans()):
            await world.terms(partner, draw(st.sampled_from(MONTHS[1:])), **terms(draw))
    for _ in range(draw(st.integers(1, 2))):
        customer = unique("customer")
        cast.customers[customer] = f"{customer}@example.com"
        await world.customer(customer, cast.customers[customer])
    cast.missing_customers[unique("customer")] = f"{unique('late')}@example.com"
    for _ in range(draw(st.integers(0, 2))):
        await rate(draw, world, cast)
    return world, cast


async def rate(draw: Draw, world: World, cast: Cast) -> None:
    """A rate of one partner: 0.00, odd amounts, ended overrides, starts in the middle of a month."""
    named: dict[str, Any] = {"partner": draw(st.sampled_from(cast.partners))}
    if draw(st.booleans()):
        named["action_type"] = draw(st.sampled_from(TYPES))
    if draw(st.booleans()):
        named["engagement_level"] = draw(st.sampled_from(LEVELS[:3]))
    if draw(st.booleans()):
        named["lead_type"] = draw(st.sampled_from(LEAD_TYPES))
    amount = draw(st.sampled_from(["0.00", "0.01", "3.33", "7.00", "40.00", None]))
    instants = (f"{month}-{day}T00:00:00Z" for month in MONTHS for day in ("01", "05"))
    start = draw(st.sampled_from([None, *MONTHS, *instants]))
    note(f"rate {named} {amount} from {start}")
    await world.rate(amount, effective_from=start, **named)


async def rate_change(draw: Draw, world: World) -> None:
    """Another amount for a rule of one of the partners, or its end; those that Leadger ships with stay."""
    numbers = [number for number in world.rule_ids if number > 5]
    if not numbers:
        return
    number = draw(st.sampled_from(numbers))
    amount = draw(st.sampled_from(["0.00", "1.00", "20.00", None]))
    if draw(st.booleans()):
        note(f"change rate {number}: {amount}")
        await world.change_rate(number, amount)
    else:
        note(f"end rate {number}")
        await world.end_rate(number)


def instant(draw: Draw) -> datetime:
    """An instant in one of four months, often shared, sometimes within hours of a month's end."""
    month = draw(st.integers(3, 6))
    if draw(st.integers(0, 4)) == 0:
        return datetime(2024, month, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(-15, 15)))
    return datetime(2024, month, draw(st.integers(1, 6)), 12 * draw(st.integers(0, 1)), tzinfo=UTC)


def lead(draw: Draw, cast: Cast, *, clean: bool = False, waiting: bool = False) -> Wire:
    """A lead: new, known with more or other actions, in conflict, or for a product or customer nobody knows yet.

    `clean` ones never conflict with each other, and only `waiting` ones are ever quarantined.
    """
    again = bool(cast.known) and draw(st.integers(0, 3)) == 0
    lead_id = draw(st.sampled_from(sorted(cast.known))) if again else unique("lead")
    if again and (clean or draw(st.integers(0, 3))):
        customer, product, lead_type = cast.known[lead_id]
    else:
        products, customers = sorted(cast.products), sorted(cast.customers)
        if not clean or waiting:
            products += sorted(cast.missing_products)
            customers += sorted(cast.missing_customers)
        customer = draw(st.sampled_from(customers))
        product = draw(st.sampled_from(products))
        lead_type = draw(st.sampled_from(LEAD_TYPES))
    cast.known.setdefault(lead_id, (customer, product, lead_type))
    actions: list[Wire] = []
    for _ in range(draw(st.integers(1, 3))):
        one = action(draw(st.sampled_from(TYPES)), draw(st.sampled_from(LEVELS)), instant(draw))
        if draw(st.integers(0, 3)) == 0:
            own_id = unique("action") if clean else draw(st.sampled_from(["1", "2", "3"]))
            if all(own_id != other.get("id") for other in actions):
                one["id"] = own_id
        actions += [one] * draw(st.sampled_from([1, 1, 1, 2]))
    wire: Wire = {
        "lead_id": lead_id,
        "customer_id": customer,
        "product_id": product,
        "lead_type": lead_type,
        "actions": actions,
    }
    emails = [cast.customers[customer]] if clean and cast.customers.get(customer) else []
    if not clean:
        emails = cast.emails() + cast.former_emails
    if emails and draw(st.integers(0, 9)) == 0:
        wire |= {"customer_id": unique("alias"), "customer": person(draw(st.sampled_from(emails)))}
    return wire


def reference(draw: Draw, cast: Cast, world: World) -> ActionRef | None:
    """An action that was decided."""
    decided = [v.action for partner in cast.partners for v in world.oracle.verdicts(partner)]
    return draw(st.sampled_from(decided)) if decided else None


async def event(draw: Draw, world: World, cast: Cast, kinds: Sequence[str] = EVENTS) -> None:
    """One of the events between which nothing may depend on order."""
    partner = draw(st.sampled_from(cast.partners))
    kind = draw(st.sampled_from(kinds))
    note(f"event {kind} {partner}")
    closed = world.oracle.closed_through(partner)
    if kind == "close":
        await world.close(partner, following(closed) if closed else MONTHS[0])
    elif kind == "reopen" and closed:
        await world.reopen(partner, closed)
    elif kind == "terms":
        await world.terms(partner, draw(st.sampled_from(MONTHS)), **terms(draw))
    elif kind == "rate":
        await rate(draw, world, cast)
        await rate_change(draw, world)
    elif kind == "master":
        await missing_master(draw, world, cast)
    elif kind in ("hold", "release", "return", "correct"):
        found = reference(draw, cast, world)
        if found:
            note(str(found))
            await (correct(draw, world, found) if kind == "correct" else change_hold_status(world, kind, found))
    elif kind == "time zone":
        await time_zone(draw, world, partner)
    elif kind == "person":
        await changed_person(draw, world, cast)
    elif kind == "erasure":
        await erase(draw(st.sampled_from(sorted(cast.customers))), world, cast)
    elif kind == "rebuild":
        report = world.partners[partner], period_from_text(draw(st.sampled_from(MONTHS)))
        if draw(st.booleans()):
            await world.damage_counters(*report)
        await world.rebuild(*report)


async def change_hold_status(world: World, kind: str, found: ActionRef) -> None:
    """Hold, release or return; a release only of what is held (the engine refuses others, the oracle lets them be)."""
    if kind == "hold":
        await world.hold(found)
    elif kind == "return":
        await world.return_action(found)
    elif found in [v.action for p in world.partners for v in world.oracle.verdicts(p) if v.outcome == "held"]:
        await world.release(found)


async def correct(draw: Draw, world: World, found: ActionRef) -> None:
    """Another level or another instant, perhaps in another month."""
    right = {"level": draw(st.sampled_from(["High", "Medium", "Low"]))}
    if draw(st.integers(0, 2)) == 0:
        right = {"at": f"2024-{draw(st.integers(2, 6)):02d}-20T09:00:00Z"}
    note(f"right {right}")
    await world.correct(found, **right)


async def time_zone(draw: Draw, world: World, partner: str) -> None:
    """Another time zone, at a moment within hours of a month's end or in the middle of a month."""
    month = datetime(2024, draw(st.integers(2, 7)), 1, tzinfo=UTC)
    now = month + timedelta(hours=draw(st.sampled_from([*range(-15, 16), 15 * 24])))
    zone = draw(st.sampled_from(ZONES))
    note(f"{zone} at {max(now, world.now)}")
    await world.timezone(partner, zone, now)


async def changed_person(draw: Draw, world: World, cast: Cast) -> None:
    """Another name; or another e-mail, which may be somebody's, or have been."""
    customer = draw(st.sampled_from(sorted(cast.customers)))
    if draw(st.booleans()):
        note(f"name of {customer}")
        await world.change_customer(customer, name=unique("Name"))
        return
    before, email = cast.customers[customer], draw(st.sampled_from([None, *cast.emails(), *cast.former_emails]))
    email = email or f"{unique('changed')}@example.com"
    note(f"e-mail of {customer}: {email}")
    if await world.change_customer(customer, email=email) and email != before:
        cast.customers |= {name: email for name, known in cast.customers.items() if known == before}
        cast.former_emails.append(before)


async def erase(customer: str, world: World, cast: Cast) -> None:
    """Erase a person, perhaps once more."""
    note(f"erase {customer}")
    email = cast.customers[customer]
    if email:
        cast.former_emails.append(email)
        cast.customers |= {name: "" for name, known in cast.customers.items() if known == email}
    await world.erase(customer)


@dataclass(frozen=True)
class Step:
    """An event at any moment, after a pause."""

    pause_ms: int
    kind: str
    customer: str
    partner: str
    period: str


def steps(draw: Draw, cast: Cast) -> list[Step]:
    """Events at any moment, to happen one after the other."""
    drawn = [
        Step(
            draw(st.integers(0, 20)),
            draw(st.sampled_from(AT_ANY_MOMENT)),
            draw(st.sampled_from(sorted(cast.customers))),
            draw(st.sampled_from(cast.partners)),
            draw(st.sampled_from(MONTHS)),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    note(f"while work runs: {drawn}")
    return drawn


async def happen(drawn: list[Step], world: World, cast: Cast) -> None:
    """Let the events happen."""
    for step in drawn:
        await asyncio.sleep(step.pause_ms / 1000)
        if step.kind == "product" and cast.missing_products:
            await missing_product(world, cast)
        elif step.kind == "customer" and cast.missing_customers:
            await missing_customer(world, cast)
        elif step.kind == "erasure":
            await erase(step.customer, world, cast)
        elif step.kind == "rebuild":
            await again(partial(world.rebuild, world.partners[step.partner], period_from_text(step.period)))
        elif step.kind == "name":
            await world.change_customer(step.customer, name=unique("Name"))


async def missing_master(draw: Draw, world: World, cast: Cast) -> None:
    """A product or customer that leads wait for is created."""
    if cast.missing_products and draw(st.booleans()):
        await missing_product(world, cast)
    elif cast.missing_customers:
        await missing_customer(world, cast, alias=draw(st.booleans()))


async def missing_product(world: World, cast: Cast) -> None:
    """A product that leads wait for is created."""
    product, partner = cast.missing_products.popitem()
    cast.products[product] = partner
    await world.product(product, partner)


async def missing_customer(world: World, cast: Cast, *, alias: bool = False) -> None:
    """A customer that leads wait for is created, or turns out to be another id of a person."""
    customer, email = cast.missing_customers.popitem()
    if alias and cast.emails():
        email = cast.emails()[0]
    cast.customers[customer] = email
    await world.customer(customer, email)
