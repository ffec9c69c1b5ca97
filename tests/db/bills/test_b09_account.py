"""B9: any history of an account through the use cases gives what the oracle says, and the account adds up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.account import EntryKind
from billing.bills.lines import Adjustment, lines_of
from billing.bills.states import State
from billing.bills.tax import totals_of
from billing.bills.values import TermsOfBill
from billing.errors import RuleViolation
from billing.periods import next_period
from db.account import ageing, conservation, open_items, statements
from db.bills import credit_notes, disputes, documents, issuing, records, write_offs
from db.bills.credit_notes import Wanted
from db.bills.documents import Document
from db.bills.drafts import draft_from_content
from db.core.engine import transaction
from db.core.row_keys import document_uuid, partner_uuid
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from db.masters import partners
from db.masters.partners import NewPartner
from tests.billing.bills.builders import content
from tests.db.conftest import Examples
from tests.oracle.bills import Account
from tests.oracle.values import Refused

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
KINDS = (
    *("bill", "bill", "bill", "payment", "payment", "payment", "allocate", "opening_item", "refund", "note"),
    *("cancel", "write_off", "take_back", "reverse", "dispute", "day"),
)
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class History:
    """One partner's account here and in the oracle; documents are named alike, by their row keys."""

    engine: AsyncEngine
    partner: str
    partner_id: UUID
    draw: Draw
    oracle: Account = field(default_factory=Account)
    now: datetime = START
    period: int = 202001
    bills: list[UUID] = field(default_factory=list)
    payments: list[str] = field(default_factory=list)
    others: list[tuple[EntryKind, str]] = field(default_factory=list)
    written_off: dict[UUID, str] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.now.date()

    async def step(self) -> None:
        kind = self.draw(st.sampled_from(KINDS))
        if kind == "day":
            self.now += timedelta(days=1)
        elif kind in ("bill", "payment", "opening_item", "refund"):
            await getattr(self, kind)()
        elif self.bills:
            await getattr(self, kind)(self.draw(st.sampled_from(self.bills)))

    async def both(self, ours: Callable[[UnitOfWork], Any], oracles: Callable[[], None]) -> bool:
        """Do it here and in the oracle; whether it was allowed, which must be the same."""
        try:
            async with unit_of_work(self.engine, publish_nothing) as uow:
                await ours(uow)
        except RuleViolation:
            try:
                oracles()
            except Refused:
                return False
            raise
        oracles()
        return True

    def amount(self) -> int:
        return int(self.draw(st.integers(1, 50)))

    def name_of(self, kind: EntryKind, external_id: str) -> str:
        return str(document_uuid(kind, external_id))

    async def bill(self) -> None:
        gross, days = int(self.draw(st.integers(-30, 50).filter(bool))), int(self.draw(st.integers(0, 3)))
        terms, bill_id = TermsOfBill(payment_days=days), uuid4()
        lines = lines_of(terms, [], [], {}, [Adjustment("Work", gross, "agreed")])
        made = content(*lines, partner=self.partner, period=self.period, terms=terms)
        self.period = next_period(self.period)

        async def issue(uow: UnitOfWork) -> None:
            await records.insert_all(uow.connection, [(self.partner_id, draft_from_content(made, bill_id))])
            await self.issue(uow, bill_id)

        due_on = self.today + timedelta(days=days)
        await self.both(issue, lambda: self.oracle.book(str(bill_id), "bill", gross, self.today, due_on))
        self.bills.append(bill_id)

    async def issue(self, uow: UnitOfWork, bill_id: UUID) -> None:
        await records.write_state(uow.connection, bill_id, State.APPROVED)
        draft = await records.read(uow.connection, bill_id)
        assert draft is not None
        await issuing.issue(uow, draft, self.now)

    async def enter(self, kind: EntryKind, amount: int, named: dict[UUID, int] | None = None) -> str | None:
        external_id = str(uuid4())
        document = Document(kind, f"x{external_id}", self.partner_id, amount, "ref", named=named or {})
        names = {str(bill_id): part for bill_id, part in (named or {}).items()}
        done = await self.both(
            lambda uow: documents.enter(uow, document, self.now),
            lambda: self.oracle.book(str(document.id), kind.value, amount, self.today, named=names),  # type: ignore[arg-type] # one of these
        )
        return document.external_id if done else None

    def named(self) -> dict[UUID, int]:
        if not self.bills:
            return {}
        found: dict[UUID, int] = self.draw(st.dictionaries(st.sampled_from(self.bills), st.integers(1, 30), max_size=2))
        return found

    async def payment(self) -> None:
        if entered := await self.enter(EntryKind.PAYMENT, self.amount(), self.named()):
            self.payments.append(entered)
            self.others.append((EntryKind.PAYMENT, entered))

    async def opening_item(self) -> None:
        if entered := await self.enter(EntryKind.OPENING_ITEM, self.draw(st.integers(-50, 50).filter(bool))):
            self.others.append((EntryKind.OPENING_ITEM, entered))

    async def refund(self) -> None:
        if entered := await self.enter(EntryKind.REFUND, self.amount()):
            self.others.append((EntryKind.REFUND, entered))

    async def allocate(self, _: UUID) -> None:
        standing = [each for each in self.payments if (EntryKind.PAYMENT, each) in self.others]
        if standing:
            external_id, named = self.draw(st.sampled_from(standing)), self.named()
            entry_id = document_uuid(EntryKind.PAYMENT, external_id)
            names = {str(bill_id): part for bill_id, part in named.items()}
            await self.both(
                lambda uow: documents.allocate(uow, entry_id, named, self.now),
                lambda: self.oracle.allocate(str(entry_id), names),
            )

    async def note(self, bill_id: UUID) -> None:
        await self.credit(bill_id, {1: self.amount()})

    async def cancel(self, bill_id: UUID) -> None:
        await self.credit(bill_id, None)

    async def credit(self, bill_id: UUID, amounts: dict[int, int] | None) -> None:
        """Make and issue a note; what B8 refuses is none of the oracle's business."""
        try:
            async with unit_of_work(self.engine, publish_nothing) as uow:
                note_id = await credit_notes.create(uow, bill_id, Wanted(amounts, "agreed"))
                assert note_id is not None
                await self.issue(uow, note_id)
                note = await records.read(uow.connection, note_id)
                assert note is not None
        except RuleViolation:
            return
        gross = totals_of(note.content).gross_minor
        self.oracle.book(str(note_id), "credit_note", gross, self.today, bill=str(bill_id))

    async def write_off(self, bill_id: UUID) -> None:
        if bill_id in self.written_off or self.oracle.documents[str(bill_id)].account < 0:
            return
        name = str(uuid4())
        done = await self.both(
            lambda uow: write_offs.write_off(uow, bill_id, "gone", True, self.now),
            lambda: self.oracle.write_off(name, str(bill_id), self.today),
        )
        if done:
            self.written_off[bill_id] = name

    async def take_back(self, bill_id: UUID) -> None:
        if bill_id in self.written_off:
            name = self.written_off.pop(bill_id)
            await self.both(
                lambda uow: write_offs.take_back(uow, bill_id, "paid", self.now),
                lambda: self.oracle.reverse(name, self.today),
            )

    async def reverse(self, _: UUID) -> None:
        if self.others:
            kind, external_id = self.others.pop(self.draw(st.integers(0, len(self.others) - 1)))
            entry_id = document_uuid(kind, external_id)
            await self.both(
                lambda uow: documents.reverse(uow, kind, entry_id, "wrong", self.now),
                lambda: self.oracle.reverse(str(entry_id), self.today),
            )

    async def dispute(self, bill_id: UUID) -> None:
        is_disputed = bool(self.draw(st.booleans()))
        async with transaction(self.engine, readonly=True) as connection:
            bill = await records.read(connection, bill_id)
        assert bill is not None
        if bill.head.state is State.ISSUED:
            reason = "not ours" if is_disputed else None
            await self.both(
                lambda uow: disputes.dispute(uow, bill_id, bill.head.digest, reason, self.now),
                lambda: self.oracle.dispute(str(bill_id), is_disputed),
            )

    async def check(self) -> None:
        async with transaction(self.engine, readonly=True) as connection:
            items = await open_items.read(connection, self.partner_id)
            found = {str(each.id): each.open_minor for each in items.charges.values()}
            found |= {str(each.id): each.left_minor for each in items.credits_left.values()}
            write_off_ids = set(self.written_off.values())
            expected = {name: each.rest for name, each in self.oracle.documents.items() if each.rest}
            assert found == {name: rest for name, rest in expected.items() if name not in write_off_ids}
            assert items.account_minor == self.oracle.balance
            everything = await statements.read(connection, self.partner_id, START.date(), self.today)
            assert (everything.opening_minor, everything.closing_minor) == (0, self.oracle.balance)
            middle = START.date() + (self.today - START.date()) // 2
            first = await statements.read(connection, self.partner_id, START.date(), middle)
            second = await statements.read(connection, self.partner_id, middle + timedelta(days=1), self.today)
            assert first.closing_minor == second.opening_minor == self.oracle.balance_on(middle)
            for day in (middle, self.today):
                pages = await ageing.page(connection, day, after=None, limit=500)
                columns = [each.columns for each in pages if each.partner == self.partner]
                assert sum(each.open_minor - each.left_minor for each in columns) == self.oracle.balance_on(day)
            if columns:
                assert columns[0].open_minor == self.oracle.open
            await check_uses(connection, self.partner_id)
            assert await conservation.difference(connection, self.partner_id) is None


async def test_b09_ageing_is_of_the_day_on_which_each_partner_books(engine: AsyncEngine) -> None:
    """Late in the evening there is a partner for whom it is tomorrow, and what was booked there is open."""
    evening, zones = datetime(2024, 5, 31, 20, tzinfo=UTC), ("UTC", "Pacific/Kiritimati")
    async with unit_of_work(engine, publish_nothing) as uow:
        for zone in zones:
            assert await partners.create(uow, NewPartner(external_id=zone, name=zone, timezone=zone))
            item = Document(EntryKind.OPENING_ITEM, zone, partner_uuid(zone), 500, "old", due_on=date(2024, 5, 31))
            assert await documents.enter(uow, item, evening)
        found = [
            [(each.partner, each.columns.not_due_minor, each.columns.days_1_30_minor) for each in pages]
            for as_of in (evening, evening.date())
            if (pages := await ageing.page(uow.connection, as_of, after=None, limit=9))
        ]
    assert found == [[("Pacific/Kiritimati", 0, 500), ("UTC", 500, 0)], [("Pacific/Kiritimati", 0, 0), ("UTC", 500, 0)]]


async def check_uses(connection: Any, partner_id: UUID) -> None:
    """What is open or left is the amount less the uses, which never are below zero; 0 once it is reversed."""
    rows = await connection.fetch(
        """
        SELECT entry.id, rest_minor, abs(entry.amount_minor) - coalesce(sum(uses.amount_minor), 0) AS computed,
            EXISTS (SELECT FROM account_entries WHERE reverses_id = entry.id) AS is_reversed
        FROM account_entries AS entry JOIN account_rests ON entry_id = entry.id
        LEFT JOIN account_uses AS uses ON entry.id IN (uses.credit_id, uses.charge_id)
        WHERE entry.partner_id = $1 GROUP BY entry.id, rest_minor
        """,
        partner_id,
    )
    assert [row["rest_minor"] for row in rows] == [0 if row["is_reversed"] else row["computed"] for row in rows]


async def any_history(draw: Draw, engine: AsyncEngine) -> None:
    partner = f"p{uuid4().hex[:11]}"
    async with unit_of_work(engine, publish_nothing) as uow:
        assert await partners.create(uow, NewPartner(external_id=partner, name="Acme"))
        partner_id = await uow.connection.fetchval("SELECT id FROM partners WHERE external_id = $1", partner)
    history = History(engine, partner, partner_id, draw)
    for _ in range(draw(st.integers(5, 15))):
        await history.step()
        await history.check()


@given(st.data())
def test_b09_any_history_gives_what_the_oracle_says(examples: Examples, data: st.DataObject) -> None:
    examples.run(any_history(data.draw, examples.engine))
