"""B1, B5, B7, B9: random people move the bills of several partners and months, also two at once; an oracle agrees.

Who of two at once is first differs from run to run, and so does all that follows; so Hypothesis draws a seed only.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, permutations, product
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.digest import digest_of, seal_of
from billing.bills.lines import Adjustment
from billing.bills.states import Move
from billing.contracts.billing_terms import BillingTerms
from billing.contracts.tax import Tax, TaxCategory
from billing.errors import RuleViolation
from billing.roles import Role
from db.access import users
from db.account import open_items
from db.bills import adjusting, creation, credit_notes, moves, records
from db.bills.credit_notes import Wanted
from db.bills.moves import Asked, Mover
from db.contracts import billing_settings, billing_terms, seller
from db.contracts.seller import Seller
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from db.ledger import closing
from db.ledger.policies import Policies
from db.masters import partners
from db.masters.partners import NewPartner
from tests.db.conftest import Examples
from tests.oracle.bill_moves import Bills, Says, gross
from tests.oracle.values import Refused
from tests.people import password_hash

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
MONTHS = (202401, 202402, 202403)
ROLES = {"fay": Role.FINANCE, "fin": Role.FINANCE, "sam": Role.SALES, "cleo": Role.CUSTOMER_SUCCESS, "ada": Role.ADMIN}
FINANCE = ("fay", "fin", "ada")
FORWARD = ("submit", "approve", "revise", "issue")
MOVES = (*FORWARD, "refresh", "recall", "withdraw", "reject", "void")


@dataclass(frozen=True)
class Step:
    """What somebody does, here and in the oracle."""

    who: str
    ours: Callable[[UnitOfWork], Awaitable[object]]
    oracles: Callable[[Bills], object]


@dataclass
class Company:
    """A partner with its bills, here and in the oracle."""

    engine: AsyncEngine
    policies: Policies
    random: Random
    actors: dict[str, Actor]
    partner_id: UUID
    oracle: Bills
    numbers: Any

    async def step(self) -> Step | None:
        """Something that somebody may try now."""
        kind = self.random.choice(("enter", "take_back", "make", "cancel", *("move",) * 12))
        month, who = self.random.choice(MONTHS), self.random.choice(FINANCE)
        if kind == "enter":
            return self.entering(who, month, self.random.choice((-40, -7, 3, 25, 90)))
        if kind == "take_back":
            return await self.taken_back(who)
        if kind == "make":
            return Step(
                who,
                lambda uow: creation.make(uow, self.policies, self.partner_id, month),
                lambda oracle: oracle.make(who, month),
            )
        live = self.oracle.live(month)
        if live is None:
            return None
        place, said = self.oracle.lives.index(live), live.says
        async with transaction(self.engine, readonly=True) as connection:
            bill_id = await records.live_of(connection, self.partner_id, month)
            assert bill_id is not None
            bill = await records.read(connection, bill_id)
        assert bill is not None
        if kind == "cancel":
            await self.cancel(bill_id, place)
            return None
        return self.moving(bill_id, bill.head.digest, place, said)

    def entering(self, who: str, month: int, minor: int) -> Step:
        """An amount is added to a month."""
        text = f"Work {next(self.numbers)}"
        entered = Adjustment(text, minor, "agreed")
        return Step(
            who,
            lambda uow: adjusting.enter(uow, self.policies, self.partner_id, month, entered),
            lambda oracle: oracle.enter(who, month, text, minor),
        )

    def moving(self, bill_id: UUID, digest: str, place: int, said: Says) -> Step:
        """A move, mostly one that leads on; now and then by anybody, who may have seen what the bill never said."""
        leading_on = [each for each in product(FORWARD, sorted(ROLES)) if self.would_be_done(place, *each, said)]
        if leading_on and self.random.randrange(4):
            move, who = self.random.choice(leading_on)
        else:
            move, who = self.random.choice(MOVES), self.random.choice(sorted(ROLES))
            if self.random.randrange(10) == 0:
                digest, said = "0" * 64, (("nothing", 0),)
        asked, mover = Asked(Move(move), digest, "because"), Mover(self.actors[who].id, ROLES[who])
        return Step(
            who,
            lambda uow: moves.move(uow, bill_id, asked, mover, NOW),
            lambda oracle: oracle.move(oracle.lives[place], move, who, said),
        )

    def would_be_done(self, place: int, move: str, who: str, said: Says) -> bool:
        oracle = deepcopy(self.oracle)
        return _is_done(lambda: oracle.move(oracle.lives[place], move, who, said))

    async def taken_back(self, who: str) -> Step | None:
        """An amount that stands is taken back."""
        if not self.oracle.entered:
            return None
        text = self.random.choice(sorted(self.oracle.entered))
        async with transaction(self.engine, readonly=True) as connection:
            adjustment_id = await connection.fetchval(
                "SELECT id FROM adjustments WHERE partner_id = $1 AND text = $2", self.partner_id, text
            )
        return Step(
            who, lambda uow: adjusting.take_back(uow, adjustment_id), lambda oracle: oracle.take_back(who, text)
        )

    async def cancel(self, bill_id: UUID, place: int) -> None:
        """An issued bill is cancelled by a note that others than its maker approve."""
        life = self.oracle.lives[place]
        if life.state != "issued" or not life.says:
            return
        async with self.unit("fay") as uow:
            note_id = await credit_notes.create(uow, bill_id, Wanted(None, "wrong"))
        assert note_id is not None
        for move, who in (("submit", "fay"), ("approve", "sam"), ("issue", "fin")):
            async with self.unit(who) as uow:
                note = await records.read(uow.connection, note_id)
                assert note is not None
                asked = Asked(Move(move), note.head.digest, "because")
                await moves.move(uow, note_id, asked, Mover(self.actors[who].id, ROLES[who]), NOW)
        self.oracle.cancel(life)

    def unit(self, who: str) -> Any:
        return unit_of_work(self.engine, publish_nothing, actor=self.actors[who])

    async def do(self, *steps: Step) -> None:
        """Do them at once, each on a connection of its own; the oracle finds an order that ends alike."""
        ours = await asyncio.gather(*(self.is_done(step) for step in steps))
        found = await self.found()
        for order in permutations(range(len(steps))):
            oracle = deepcopy(self.oracle)
            done = {place: _is_done(partial(steps[place].oracles, oracle)) for place in order}
            if [done[place] for place in range(len(steps))] == ours and expected(oracle) == found:
                self.oracle = oracle
                return
        raise AssertionError(f"{ours} and {found} follow in no order; before: {expected(self.oracle)}")

    async def is_done(self, step: Step) -> bool:
        try:
            async with self.unit(step.who) as uow:
                await step.ours(uow)
        except RuleViolation:
            return False
        return True

    async def found(self) -> tuple[object, ...]:
        """What is on record: bills by month and state with their gross, numbers, and the account; all seals true."""
        async with transaction(self.engine, readonly=True) as connection:
            rows = await connection.fetch(
                "SELECT id FROM bills WHERE partner_id = $1 ORDER BY period, created_at", self.partner_id
            )
            bills = [await records.read(connection, row["id"]) for row in rows]
            items = await open_items.read(connection, self.partner_id)
        numbers: dict[bool, list[int]] = {False: [], True: []}
        lives = []
        for bill in bills:
            assert bill is not None
            assert digest_of(bill.content) == bill.head.digest
            if bill.issue is not None:
                assert seal_of(bill.content, bill.issue) == bill.head.seal
                numbers[bill.head.corrects_id is not None].append(int(bill.issue.number.rpartition("-")[2]))
            if bill.head.corrects_id is None:
                lives.append((bill.head.period, bill.head.state.value, bill.head.totals.gross_minor))
        rests = (
            [each.open_minor for each in items.charges.values()],
            [each.left_minor for each in items.credits_left.values()],
        )
        assert all(rest >= 0 for part in rests for rest in part)
        assert sum(rests[0]) - sum(rests[1]) == items.account_minor
        return sorted(lives), sorted(numbers[False]), sorted(numbers[True]), items.account_minor


def expected(oracle: Bills) -> tuple[object, ...]:
    """The same by the oracle: numbers without a gap."""
    lives = sorted((life.period, life.state, gross(life.says)) for life in oracle.lives)
    return lives, [*range(1, oracle.issued + 1)], [*range(1, oracle.notes + 1)], oracle.balance


def _is_done(of_oracle: Callable[[], object]) -> bool:
    try:
        of_oracle()
    except Refused:
        return False
    return True


async def company(engine: AsyncEngine, policies: Policies, random: Random, actors: dict[str, Actor]) -> Company:
    name = f"p{uuid4().hex[:11]}"
    async with unit_of_work(engine, publish_nothing) as uow:
        assert await partners.create(uow, NewPartner(external_id=name, name="Acme"))
        partner_id = await uow.connection.fetchval("SELECT id FROM partners WHERE external_id = $1", name)
        await billing_settings.change(uow.connection, partner_id, {"billing_from": MONTHS[0]})
        terms = BillingTerms(tax=Tax(TaxCategory.STANDARD, 2000, None), address="1 High Street")
        await billing_terms.write(uow.connection, partner_id, MONTHS[0], terms)
    for month in MONTHS:
        async with unit_of_work(engine, publish_nothing) as uow:
            assert await closing.close(uow, policies, partner_id, month, NOW)
    return Company(
        engine, policies, random, actors, partner_id, Bills({who: role.value for who, role in ROLES.items()}), count(1)
    )


async def any_moves(random: Random, engine: AsyncEngine, steps: int) -> None:
    policies, actors = Policies(), {}
    async with unit_of_work(engine, publish_nothing) as uow:
        await seller.write(uow, Seller("Leadger Ltd", "1 High Street", "GB123"))
        for name, role in ROLES.items():
            user = await users.create(uow, name, f"{uuid4().hex}@example.com", role, None, password_hash())
            actors[name] = Actor(ActorKind.USER, user.id, name)
    companies = [await company(engine, policies, random, actors) for _ in range(2)]
    for of in companies:
        for month in MONTHS:
            await of.do(of.entering("fay", month, 100))
    for _ in range(steps):
        of = random.choice(companies)
        tried = [step for _ in range(random.choice((1, 2))) if (step := await of.step())]
        await of.do(*tried)


@hypothesis_settings(max_examples=1)
@given(seed=st.integers(0, 2**32))
def test_b05_random_people_move_bills_as_the_oracle_says(examples: Examples, seed: int) -> None:
    examples.run(any_moves(Random(seed), examples.engine, 12))


@pytest.mark.slow
@hypothesis_settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_b05_long_histories_of_random_people_are_as_the_oracle_says(examples: Examples, seed: int) -> None:
    examples.run(any_moves(Random(seed), examples.engine, 30))
