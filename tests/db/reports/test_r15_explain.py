"""R15: every verdict is explained, in figures and in one sentence."""

from db.core.engine import transaction
from db.reports import explained_actions
from tests.builders import lead
from tests.oracle import ActionRef
from tests.world import World, action_id

CAP = "the cap of 16.00 EUR per customer in April 2024"


async def reason(world: World, reference: ActionRef) -> str:
    async with transaction(world.engine, readonly=True) as connection:
        line = await explained_actions.action_line(connection, action_id(reference))
    assert line is not None
    return line.reason


async def test_r15_the_worked_example_of_every_outcome(world: World) -> None:
    await world.terms("acme", "2024-04", cap="16.00")
    day = "2024-04-{:02d}T09:00:00Z".format
    await world.send(
        lead("a", ("Click", "High", day(1)), customer="ann", product="crm"),
        lead("b", ("Click", "High", day(2)), customer="ann", product="crm"),
        lead("c", ("Click", "High", day(3)), customer="ann", product="erp", lead_type="Email Campaign"),
        lead("d", ("Signup", "Low", day(4)), customer="ann", product="erp"),
        lead("e", ("Call", "Low", day(5)), customer="ann", product="erp"),
        lead("f", ("Visit", "Low", day(6)), customer="ann", product="erp"),
    )
    await world.hold(("", "e", "Call", "Low", day(5), 1))
    await world.return_action(("", "f", "Visit", "Low", day(6), 1))
    first = action_id(("", "a", "Click", "High", day(1), 1))
    assert [
        await reason(world, ("", name, kind, level, day(number), 1))
        for number, (name, kind, level) in enumerate(
            [
                ("a", "Click", "High"),
                ("b", "Click", "High"),
                ("c", "Click", "High"),
                ("d", "Signup", "Low"),
                ("e", "Call", "Low"),
                ("f", "Visit", "Low"),
            ],
            start=1,
        )
    ] == [
        f"Billed in full: 10.00 EUR by the rate for High; 10.00 of {CAP} is now used.",
        f"Not billed: duplicate of action {first} of 2024-04-01 09:00:00 UTC; its value is 10.00 EUR (rate for High).",
        "Billed 6.00 of 15.00 EUR (rate for Email Campaign · Click · High), because only that was left of " + CAP + ".",
        f"Not billed: {CAP} was already used up; its value is 2.00 EUR (rate for Low).",
        "Not billed while it is held (because); its value is 2.00 EUR (rate for Low).",
        "Not billed, because it was returned (because); its value is 2.00 EUR (rate for Low).",
    ]
    await world.check()


async def test_r15_late_credited_and_without_a_cap(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    await world.close("acme", "2024-04")
    await world.terms("acme", "2024-05", cap=None)
    await world.send(lead("late", ("Signup", "Low", "2024-04-02T09:00:00Z"), customer="ann", product="crm"))
    await world.return_action(("", "a", "Click", "High", "2024-04-10T09:00:00Z", 1))
    assert await reason(world, ("", "late", "Signup", "Low", "2024-04-02T09:00:00Z", 1)) == (
        "Billed in full: 2.00 EUR by the rate for Low, without a cap; "
        "it belongs to April 2024, which was closed before it could be billed there, and is billed in May 2024."
    )
    assert (await reason(world, ("", "a", "Click", "High", "2024-04-10T09:00:00Z", 1))).endswith(
        "is now used; 10.00 EUR are credited in May 2024, because it was returned (because)."
    )
    await world.check()


async def test_r15_a_lifetime_cap_is_named_as_such(world: World) -> None:
    await world.terms("acme", "2024-04", cap="12.00", cap_scope="lifetime")
    await world.send(
        lead("a", customer="ann", product="crm"),
        lead("b", ("Signup", "Medium", "2024-05-01T00:00:00Z"), customer="ann", product="crm"),
    )
    assert await reason(world, ("", "b", "Signup", "Medium", "2024-05-01T00:00:00Z", 1)) == (
        "Billed 2.00 of 5.00 EUR (rate for Medium), "
        "because only that was left of the cap of 12.00 EUR per customer for all time."
    )
    await world.check()
