"""Every statement that a batch may send fails once, also for what seldom comes up; the oracle sees no difference."""

import random
from typing import Any

import pytest

from billing.actions import Action
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.intake import matching, poison_search
from db.intake.arrival import Arrival
from tests.builders import Wire, lead, person
from tests.chaos.statements import Statements, watched
from tests.logs import capturing_log
from tests.world import World
from worker.runtime import Runtime
from worker.tasks import leads
from worker.tasks.quarantine import empty_quarantine

_MOST_STATEMENTS = 100
"""More different ones than batches send."""

_SELDOM = {  # by words of the statement, or by the table that is copied to
    "a lead for the quarantine": "INSERT INTO quarantine",
    "what may leave the quarantine": "FROM quarantine",
    "what left the quarantine": "UPDATE quarantine",
    "a dead letter": "dead_letters",
    "all verdicts of a customer": "WITH RECURSIVE wanted",
    "winners of closed periods": "billing_period < first_open",
    "winners of a customer": "array_agg(slot), ",
    "winners that are none any more": "DELETE FROM winners",
    "verdicts that changed": "UPDATE actions SET",
    "by which terms a customer is judged": "UPDATE customer_states",
    "periods that are used for the first time": "INSERT INTO periods",
    "people that a lead describes": "customers",
}


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valuing an action of the type "Poison" fails, which is not worth a log line with all its locals each time."""
    make = matching.price_action

    def fail(arrival: Arrival, *rest: Any) -> Action:
        if arrival.lead.actions[0].action_type == "Poison":
            raise ZeroDivisionError("poison")
        return make(arrival, *rest)

    monkeypatch.setattr(matching, "price_action", fail)
    monkeypatch.setattr(poison_search, "log", capturing_log()[0])
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)  # no pauses between two tries


def everything(number: int) -> list[Wire]:
    """Leads that have a worker look at all there is, if the terms have changed and March is closed."""
    day, month = f"{28 - number % 27:02d}", f"{2016 + (3 + number) // 12}-{(3 + number) % 12 + 1:02d}"
    return [
        # Ever earlier ones, so that winners change.
        lead(None, ("Click", "High", f"2016-04-{day}T09:00:00Z"), customer="ann", product="crm"),
        lead(None, (f"Type {number}", "Low", f"{month}-10T09:00:00Z"), customer="bob", product="crm"),
        lead(None, ("Click", "Medium", "2016-03-20T09:00:00Z"), customer="ann", product="crm"),
        lead(None, customer="ann", product=f"product-{number}"),
        described(f"described-{number}"),
    ]


def described(customer: str) -> Wire:
    """A lead with the person in it."""
    return lead(None, customer=customer, product="crm") | {"customer_id": customer, "customer": person()}


async def _work(runtime: Runtime) -> None:
    """What the worker does, and the sweeper after a fault."""
    for _ in range(10):
        try:
            while not await leads.empty_inbox(runtime):
                pass
            await empty_quarantine(runtime)
        except TRANSIENT:
            continue
        return
    raise AssertionError("faults of the moment do not end")


@pytest.mark.parametrize(
    "sqlstate",
    [
        pytest.param("40P01", id="deadlock", marks=pytest.mark.slow),
        pytest.param("08006", id="connection broken"),
        pytest.param("40001", id="serialization failure", marks=pytest.mark.slow),
        pytest.param("57014", id="query canceled", marks=pytest.mark.slow),
        pytest.param("53300", id="too many connections", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("poison")
async def test_every_statement_fails_once(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    await world.send(lead(None, ("Click", "Medium", "2016-03-10T09:00:00Z"), customer="ann", product="crm"))
    assert await world.close("acme", "2016-03")
    struck: list[str] = []
    rounds = 0
    while len(struck) == rounds:
        rounds += 1
        assert rounds < _MOST_STATEMENTS, "there may be statements that were not struck"
        await world.terms("acme", "2016-04", cap=f"{rounds}.00")
        await world.accept(*everything(rounds))
        await world.put(lead(None, ("Poison", "High", "2016-04-10T09:00:00Z"), customer="ann", product="crm"))
        with monkeypatch.context() as patch:
            patch.setattr(world, "empty_quarantine", _nothing)
            await world.product(f"product-{rounds - 1}", "acme")
        statements = Statements(sqlstate, struck)
        with watched(statements):
            await _work(runtime)
        if statements.struck is not None:
            struck.append(statements.struck)
    missed = [what for what, words in _SELDOM.items() if not any(_is(each, words) for each in struck)]
    assert missed == [], struck
    await world.check()
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM dead_letters") == rounds


def _is(statement: str, words: str) -> bool:
    return words in statement if " " in words else words == statement


async def _nothing() -> None:
    return
