"""Random histories of several partners: what callers send, what people do, and in which order workers see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.builders import Wire, action, person, unique
from tests.oracle import ActionRef
from tests.oracle.periods import following
from tests.world import World, forget_everything_waiting

MONTHS = ("2024-03", "2024-04", "2024-05", "2024-06")
CAPS = [None, "0.00", "0.01", "5.00", "17.00", "25.00", "100.00"]
WINDOWS: list[Any] = ["forever", "period", 1, 3, 10, 40]
ZONES = ["UTC", "UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/Sao_Paulo", "Europe/Berlin", "Asia/Kathmandu"]
LEVELS = ["High", "Medium", "Low", "HIGH", "low"]
TYPES = ["Click", "Signup", "click", "Demo", "Call"]
EVENTS = ["close"] * 3 + ["reopen"] + ["hold"] * 2 + ["release"] + ["return"] * 3 + ["terms", "rate", "master"]
LEAD_TYPES = ["Website Visit", "Referral", "Email Campaign"]

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Cast:
    """Who takes part in one history."""

    partners: list[str]
    products: dict[str, str]
    customers: dict[str, str]
    missing_products: dict[str, str]
    missing_customers: dict[str, str]
    rules: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)
    known: dict[str, tuple[str, str, str]] = field(default_factory=dict)


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
    start = draw(st.sampled_from([None, *(f"{month}-{day}T00:00:00Z" for month in MONTHS for day in ("01", "05"))]))
    if (named, start) not in cast.rules:
        cast.rules.append((named, start))
        note(f"rate {named} {amount} from {start}")
        await world.rate(amount, effective_from=start, **named)


def instant(draw: Draw) -> datetime:
    """An instant in one of four months, often shared, sometimes within hours of a month's end."""
    month = draw(st.integers(3, 6))
    if draw(st.integers(0, 4)) == 0:
        return datetime(2024, month, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(-15, 15)))
    return datetime(2024, month, draw(st.integers(1, 6)), 12 * draw(st.integers(0, 1)), tzinfo=UTC)


def lead(draw: Draw, cast: Cast, *, new: bool = False, clean: bool = False) -> Wire:
    """A lead: new, known with more or other actions, in conflict, or for a product or customer nobody knows yet.

    `clean` ones never contradict each other and never wait in quarantine.
    """
    again = bool(cast.known) and not new and draw(st.integers(0, 3)) == 0
    lead_id = draw(st.sampled_from(sorted(cast.known))) if again else unique("lead")
    if again and (clean or draw(st.integers(0, 3))):
        customer, product, lead_type = cast.known[lead_id]
    else:
        products, customers = sorted(cast.products), sorted(cast.customers)
        if not clean:
            products += sorted(cast.missing_products)
            customers += sorted(cast.missing_customers)
        customer = draw(st.sampled_from(customers))
        product = draw(st.sampled_from(products))
        lead_type = draw(st.sampled_from(LEAD_TYPES))
    cast.known.setdefault(lead_id, (customer, product, lead_type))
    actions = []
    for _ in range(draw(st.integers(1, 3))):
        one = action(draw(st.sampled_from(TYPES)), draw(st.sampled_from(LEVELS)), instant(draw))
        actions += [one] * draw(st.sampled_from([1, 1, 1, 2]))
    wire: Wire = {
        "lead_id": lead_id,
        "customer_id": customer,
        "product_id": product,
        "lead_type": lead_type,
        "actions": actions,
    }
    if not clean and draw(st.integers(0, 9)) == 0:
        address = draw(st.sampled_from(sorted(cast.customers.values())))
        wire |= {"customer_id": unique("alias"), "customer": person(address)}
    return wire


def reference(draw: Draw, cast: Cast, world: World) -> ActionRef | None:
    """An action that was decided."""
    decided = [v.action for partner in cast.partners for v in world.oracle.verdicts(partner)]
    return draw(st.sampled_from(decided)) if decided else None


async def event(draw: Draw, world: World, cast: Cast) -> None:
    """One of the events between which nothing may depend on order."""
    partner = draw(st.sampled_from(cast.partners))
    kind = draw(st.sampled_from(EVENTS))
    note(f"event {kind} {partner}")
    closed = world.oracle._partners[partner].closed_through
    if kind == "close":
        await world.close(partner, following(closed) if closed else MONTHS[0])
    elif kind == "reopen" and closed:
        await world.reopen(partner, closed)
    elif kind == "terms":
        await world.terms(partner, draw(st.sampled_from(MONTHS)), **terms(draw))
    elif kind == "rate":
        await rate(draw, world, cast)
    elif kind == "master":
        await missing_master(draw, world, cast)
    elif kind in ("hold", "release", "return"):
        found = reference(draw, cast, world)
        if found:
            note(str(found))
            await stand(world, kind, found)


async def stand(world: World, kind: str, found: ActionRef) -> None:
    """Hold, release or return; a release only of what is held (the engine refuses others, the oracle lets them be)."""
    if kind == "hold":
        await world.hold(found)
    elif kind == "return":
        await world.return_action(found)
    elif found in [v.action for p in world.partners for v in world.oracle.verdicts(p) if v.outcome == "held"]:
        await world.release(found)


async def missing_master(draw: Draw, world: World, cast: Cast) -> None:
    """A product or customer that leads wait for is created."""
    if cast.missing_products and draw(st.booleans()):
        product, partner = cast.missing_products.popitem()
        cast.products[product] = partner
        await world.product(product, partner)
    elif cast.missing_customers:
        customer, address = cast.missing_customers.popitem()
        if draw(st.booleans()):
            address = sorted(cast.customers.values())[0]
        cast.customers[customer] = address
        await world.customer(customer, address)
