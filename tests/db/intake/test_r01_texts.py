"""R1, R12: spellings that look the same are billed once, for one person; those that differ stay apart."""

import pytest

from db.core.engine import transaction
from tests.builders import Wire, lead
from tests.world import World


async def totals(world: World) -> list[tuple[str, int, int, int]]:
    """Each person by e-mail: billed, duplicate savings and cap savings in minor units."""
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch(
            "SELECT email, billed_minor, duplicate_savings_minor, cap_savings_minor"
            " FROM customer_periods JOIN customers ON customers.id = customer_id ORDER BY email"
        )
    return [tuple(row) for row in rows]


def described(customer: str, email: str, *steps: tuple[str, str, str]) -> Wire:
    return lead(None, *steps, customer=customer, product="crm") | {"customer": {"name": customer, "email": email}}


async def test_r1_an_action_type_in_six_spellings_is_billed_once(world: World) -> None:
    spellings = [
        "Phone Call",
        "phone\u00a0call",
        "Phone\u2003 CALL\u200b",
        "\ufeffPhone  Call",
        "Pho\u00adne Call",
        " Phone\tCall\u2028",
    ]
    for day, spelling in enumerate(spellings, 1):
        await world.send(lead(None, (spelling, "High", f"2024-04-0{day}T10:00:00Z"), customer="ann", product="crm"))
    assert await totals(world) == [("ann@example.com", 1000, 5000, 0)]
    await world.check()


async def test_r1_a_rate_meets_a_type_in_any_spelling(world: World) -> None:
    await world.rate("7.00", partner="acme", lead_type="Ta\u200bgung", action_type="ΟΔΟΣ\u00a0")
    await world.send(
        lead(None, ("οδος", "Low", "2024-04-01T10:00:00Z"), customer="ann", product="crm", lead_type="TAGUNG ")
    )
    assert await totals(world) == [("ann@example.com", 700, 0, 0)]
    await world.check()


async def test_r1_a_lead_that_comes_again_in_another_spelling_is_a_replay_and_no_conflict(world: World) -> None:
    for kind, level in (("Straße", "High"), ("STRASSE", "h\u200bigh"), ("stra\u00adẞe", " HIGH\u3000")):
        await world.send(
            lead("one", (kind, level, "2024-04-01T10:00:00Z"), customer="ann", product="crm", lead_type=f"{kind} 1")
        )
    assert await totals(world) == [("ann@example.com", 1000, 0, 0)]
    assert len(world.oracle.verdicts("acme")) == 1
    await world.check()


async def test_r12_an_e_mail_in_five_spellings_is_one_person(world: World) -> None:
    spellings = ["jo.e@B\u00dccher.example", "\u200bjo.e@xn--bcher-kva.example", "JO.E@bu\u0308cher.example\u00a0"]
    spellings += ["jo.e@b\u00fc\u00adcher.example", "jo.e\u200d@b\u00fccher\u3002example"]
    for number, spelling in enumerate(spellings, 1):
        await world.send(described(f"jo-{number}", spelling, ("Signup", "High", f"2024-04-0{number}T10:00:00Z")))
    assert await totals(world) == [("jo.e@xn--bcher-kva.example", 1000, 4000, 0)]
    await world.check()


@pytest.mark.parametrize(
    ("one", "other", "persons"),
    [
        ("fuß@x.example", "fuss@x.example", 2),
        ("jo+promo@x.example", "jo@x.example", 2),
        ("İlk@x.example", "ilk@x.example", 2),
        ("a@straße.example", "a@strasse.example", 2),
        ("Kim@X.Example", " kim@x.example ", 1),
        ("\u212aim@x.example", "kim@x.example", 1),
    ],
)
async def test_r12_two_mailboxes_are_two_people_with_a_cap_each(
    world: World, one: str, other: str, persons: int
) -> None:
    for customer, email in (("p-1", one), ("p-2", other)):
        steps = [(f"{customer} {step}", "High", f"2024-04-01T10:00:0{step}Z") for step in range(6)]
        await world.send(described(customer, email, *steps))
    found = sorted((billed, duplicate, cap) for _, billed, duplicate, cap in await totals(world))
    assert found == ([(6000, 0, 0), (6000, 0, 0)] if persons == 2 else [(10000, 0, 2000)])
    await world.check()
