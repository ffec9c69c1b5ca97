"""B1, B5, B7 to B9: random people move bills and credit notes of partners and months, also two at once, like an oracle.

Who of two at once is first differs from run to run, and so does all that follows; so Hypothesis draws a seed only.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count, permutations, product
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import PostgresError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills import open_items as items_rules
from billing.bills.account import Charge, Credit, EntryKind, Use
from billing.bills.callers import Caller
from billing.bills.digest import digest_of, seal_of
from billing.bills.lines import Adjustment
from billing.bills.moves import Moving, moved
from billing.bills.open_items import OpenItems
from billing.bills.states import Move
from billing.bills.values import Content
from billing.contracts.billing_terms import BillingTerms
from billing.contracts.tax import Tax, TaxCategory
from billing.errors import RuleViolation
from billing.roles import Role
from db.access import users
from db.account import conservation, open_items
from db.bills import adjusting, creation, credit_notes, documents, issuing, moves, records, reviews
from db.bills.credit_notes import Wanted
from db.bills.documents import Document
from db.bills.moves import Asked, Mover
from db.bills.records import Bill
from db.contracts import billing_settings, billing_terms, seller
from db.contracts.seller import Seller
from db.core import locks
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.row_keys import document_uuid
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from db.ledger import closing
from db.ledger.policies import Policies
from db.masters import partners
from db.masters.partners import NewPartner
from tests.db.conftest import Examples
from tests.oracle.bill_moves import Bills, Says
from tests.oracle.values import Refused
from tests.people import password_hash

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
MONTHS = (202401, 202402, 202403)
ROLES = {"fay": Role.FINANCE, "fin": Role.FINANCE, "sam": Role.SALES, "cleo": Role.CUSTOMER_SUCCESS, "ada": Role.ADMIN}
FINANCE = ("fay", "fin", "ada")
FORWARD = ("submit", "approve", "revise", "issue")
MOVES = (*FORWARD, "refresh", "recall", "withdraw", "reject", "void")
KINDS = ("enter", "take_back", "make", "note", "note", "note", "pay", "reverse")
SELDOM = ("limit", "maker", "order", "stale")
ENDED = ("issued", "void", "cancelled")
NOTHING: tuple[str, Says] = "0" * 64, (("nothing", 0),)


@dataclass(frozen=True)
class Step:
    """What somebody does, here and in the oracle."""

    who: str
    ours: Callable[[UnitOfWork], Awaitable[object]]
    oracles: Callable[[Bills], object]


@dataclass
class Company:
    """A partner with its bills, here and in the oracle; `saw`: what people saw each bill say, by digest."""

    engine: AsyncEngine
    policies: Policies
    random: Random
    actors: dict[str, Actor]
    partner_id: UUID
    oracle: Bills
    numbers: Any
    saw: dict[int, dict[str, Says]] = field(default_factory=lambda: defaultdict(dict))

    async def steps(self) -> list[Step]:
        """What somebody tries now, or two at once, mostly on one bill."""
        moved = [place for place, life in enumerate(self.oracle.lives) if life.state not in ENDED]
        moved += [place for place in moved if self.oracle.lives[place].of]  # notes come late, so they are hurried
        if moved and self.random.randrange(4):
            place, many = self.random.choice(moved), self.random.choice((1, 2))
            return [await self.moving(place) for _ in range(many)]
        tried = [*await self.others(), *await self.others()]
        if moved:
            tried.append(await self.moving(self.random.choice(moved)))
        return self.random.sample(tried, min(2, len(tried)))

    async def others(self) -> list[Step]:
        """Anything but a move; of credit notes two at once, which may be over more than a line has."""
        kind, month, who = self.random.choice(KINDS), self.random.choice(MONTHS), self.random.choice(FINANCE)
        if kind == "enter":
            return [self.entering(who, month, self.random.choice((-40, -7, 3, 25, 90)))]
        if kind == "take_back":
            return await self.taking_back(who)
        if kind == "note":
            return await self.noting(self.random.sample(FINANCE, 2))
        if kind == "pay":
            return [self.paying(who, self.random.choice((10, 60, 150)))]
        if kind == "reverse":
            return self.reversing(who)
        return [
            Step(
                who,
                lambda uow: creation.make(uow, self.policies, self.partner_id, month),
                lambda oracle: oracle.make(who, month),
            )
        ]

    def entering(self, who: str, month: int, minor: int) -> Step:
        """An amount is added to a month."""
        text = f"Work {next(self.numbers)}"
        entered = Adjustment(text, minor, "agreed")
        return Step(
            who,
            lambda uow: adjusting.enter(uow, self.policies, self.partner_id, month, entered),
            lambda oracle: oracle.enter(who, month, text, minor),
        )

    async def moving(self, place: int) -> Step:
        """A move, mostly one that leads on, or one that a single rule forbids; each rule has its turn."""
        bill_id, digest = await self.seen(place)
        possible: dict[str, list[tuple[str, str, tuple[str, Says]]]] = defaultdict(list)
        for move, who, seen in product(MOVES, ROLES, (*self.saw[place].items(), NOTHING)):
            why_not = self.oracle.why_not(self.oracle.lives[place], move, who, seen[1])
            possible[why_not or ("done" if move in FORWARD and seen[0] == digest else "turned")].append(
                (move, who, seen)
            )
        leads_on = "done" in possible and self.random.randrange(2)
        seldom = [why_not for why_not in SELDOM if why_not in possible]
        kind = "done" if leads_on else self.random.choice(sorted(possible) + 3 * seldom)
        move, who, (digest, said) = self.random.choice(possible[kind])
        asked, mover = Asked(Move(move), digest, "because"), Mover(self.actors[who].id, ROLES[who])
        return Step(
            who,
            lambda uow: moves.move(uow, bill_id, asked, mover, NOW),
            lambda oracle: oracle.move(oracle.lives[place], move, who, said),
        )

    async def seen(self, place: int) -> tuple[UUID, str]:
        """Somebody looks at a bill that stands; its id and digest."""
        life = self.oracle.lives[place]
        async with transaction(self.engine, readonly=True) as connection:
            bill_id = UUID(life.name) if life.name else await records.live_of(connection, self.partner_id, life.period)
            assert bill_id is not None
            bill = await records.read(connection, bill_id)
        assert bill is not None
        self.saw[place][bill.head.digest] = life.says
        return bill_id, bill.head.digest

    async def noting(self, people: list[str]) -> list[Step]:
        """Credit notes of an issued bill, over all that is left or over most of a line."""
        issued = [place for place, life in enumerate(self.oracle.lives) if life.state == "issued" and not life.of]
        if not issued:
            return []
        place = self.random.choice(issued)
        bill_id, _ = await self.seen(place)
        async with transaction(self.engine, readonly=True) as connection:
            bill = await records.read(connection, bill_id)
        assert bill is not None
        if not bill.content.lines:
            return []
        line = self.random.choice(bill.content.lines)
        cancels = line.net_minor <= 0 or not self.random.randrange(3)
        wanted = None if cancels else (line.text, line.net_minor * 2 // 3)
        return [self.noted(who, place, bill_id, wanted, wanted and {line.number: wanted[1]}) for who in people]

    def noted(
        self, who: str, place: int, bill_id: UUID, wanted: tuple[str, int] | None, amounts: dict[int, int] | None
    ) -> Step:
        """One of them."""
        note_id = uuid4()
        return Step(
            who,
            lambda uow: credit_notes.create(uow, bill_id, Wanted(amounts, "wrong"), note_id),
            lambda oracle: oracle.note(who, str(note_id), oracle.lives[place], wanted),
        )

    def paying(self, who: str, minor: int) -> Step:
        """A payment, for whatever is due first."""
        payment = Document(EntryKind.PAYMENT, str(uuid4()), self.partner_id, minor, "bank")
        return Step(
            who,
            lambda uow: documents.enter(uow, payment, NOW),
            lambda oracle: oracle.pay(payment.external_id, minor),
        )

    def reversing(self, who: str) -> list[Step]:
        """A payment is taken back."""
        if not self.oracle.paid:
            return []
        name = self.random.choice(sorted(self.oracle.paid))
        entry_id = document_uuid(EntryKind.PAYMENT, name)
        return [
            Step(
                who,
                lambda uow: documents.reverse(uow, EntryKind.PAYMENT, entry_id, "bounced", NOW),
                lambda oracle: oracle.reverse(name),
            )
        ]

    async def taking_back(self, who: str) -> list[Step]:
        """An amount that stands is taken back."""
        if not self.oracle.entered:
            return []
        text = self.random.choice(sorted(self.oracle.entered))
        async with transaction(self.engine, readonly=True) as connection:
            adjustment_id = await connection.fetchval(
                "SELECT id FROM adjustments WHERE partner_id = $1 AND text = $2", self.partner_id, text
            )
        return [
            Step(who, lambda uow: adjusting.take_back(uow, adjustment_id), lambda oracle: oracle.take_back(who, text))
        ]

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
        """What is on record: bills by month, state, gross and makers, numbers, and the account; all seals true.

        The makers are read from the history, because two who make a bill at once leave only there who came first.
        """
        async with transaction(self.engine, readonly=True) as connection:
            rows = await connection.fetch(
                "SELECT id FROM bills WHERE partner_id = $1 ORDER BY period, created_at", self.partner_id
            )
            bills = [await records.read(connection, row["id"]) for row in rows]
            rows = await connection.fetch(
                """
                SELECT bill_id, array_agg(DISTINCT who_name) AS who FROM bill_actions
                WHERE bill_id = ANY($1::uuid[]) AND move IN ('create', 'refresh', 'adjust', 'submit') GROUP BY bill_id
                """,
                [row["id"] for row in rows],
            )
            makers = {row["bill_id"]: sorted(row["who"]) for row in rows}
            items = await open_items.read(connection, self.partner_id)
            assert await conservation.difference(connection, self.partner_id) is None
        numbers: dict[bool, list[int]] = {False: [], True: []}
        lives = []
        for bill in bills:
            assert bill is not None
            assert digest_of(bill.content) == bill.head.digest
            is_note = bill.head.corrects_id is not None
            if bill.issue is not None:
                assert seal_of(bill.content, bill.issue) == bill.head.seal
                numbers[is_note].append(int(bill.issue.number.rpartition("-")[2]))
            shown = is_note, bill.head.period, bill.head.state.value, bill.head.totals.gross_minor
            lives.append((*shown, makers[bill.head.id]))
        rests = (
            [each.open_minor for each in items.charges.values()],
            [each.left_minor for each in items.credits_left.values()],
        )
        assert all(rest >= 0 for part in rests for rest in part)
        assert not (sum(rests[0]) and sum(rests[1])), "credit is used at once"
        assert sum(rests[0]) - sum(rests[1]) == items.account_minor
        return sorted(lives), sorted(numbers[False]), sorted(numbers[True]), items.account_minor


def expected(oracle: Bills) -> tuple[object, ...]:
    """The same by the oracle: numbers without a gap."""
    lives = sorted(
        (life.of is not None, life.period, life.state, life.gross, sorted(life.makers)) for life in oracle.lives
    )
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
            await of.do(of.entering(random.choice(FINANCE), month, 100))
    for _ in range(steps):
        of = random.choice(companies)
        await of.do(*await of.steps())


async def histories(seed: int, engine: AsyncEngine, many: int = 2) -> None:
    random = Random(seed)
    for _ in range(many):
        await any_moves(random, engine, 130)


@hypothesis_settings(max_examples=1)
@given(seed=st.integers(0, 2**32))
def test_b05_random_people_move_bills_as_the_oracle_says(examples: Examples, seed: int) -> None:
    examples.run(histories(seed, examples.engine))


@pytest.mark.slow
@hypothesis_settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_b05_long_histories_of_random_people_are_as_the_oracle_says(examples: Examples, seed: int) -> None:
    examples.run(any_moves(Random(seed), examples.engine, 150))


async def _nothing(*_: object) -> None:
    return


async def _nobody(*_: object) -> set[UUID]:
    return set()


async def _as_it_was(_: object, note: Bill) -> Content:
    return note.content


def _whatever_was_seen(bill: Moving, move: Move, caller: Caller, _: str, *more: Any) -> Moving:
    return moved(bill, move, caller, bill.digest, *more)


def _all_of_it(credit: Credit, charge: Charge) -> list[Use]:
    return [Use(credit.id, charge.id, credit.left_minor)] if credit.left_minor else []


RULES: dict[str, tuple[object, str, object]] = {
    "the lock of a partner's bills": (locks, "lock_bills_exclusive", _nothing),
    "maker and checker differ": (reviews, "_makers", _nobody),
    "a move names the digest seen": (moves, "moved", _whatever_was_seen),
    "what is submitted or issued is what holds now": (moves, "_check_fresh", _nothing),
    "a note is checked again at its issue": (credit_notes, "content_now", _as_it_was),
    "earlier months are issued first": (issuing, "_check_order", _nothing),
    "the same move again changes nothing": (moves, "is_repeated", lambda *_: False),
    "a note over all of a bill cancels it": (credit_notes, "cancel_corrected", _nothing),
    "a note covers no more than is open": (items_rules, "own_use", _all_of_it),
    "credit is used at once": (OpenItems, "settle", lambda _: None),
    "reversing frees all uses": (OpenItems, "free", lambda *_: None),
}
"""What each of these rules is, and what stands in its place when it is taken away."""


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_b05_without_a_rule_random_histories_go_wrong(
    examples: Examples, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setattr(*RULES[rule])
    with pytest.raises((AssertionError, PostgresError)):
        examples.run(histories(0, examples.engine, 4))
