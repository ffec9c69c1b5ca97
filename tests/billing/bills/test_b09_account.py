"""B9: the account, against figures worked out by hand, and against the oracle for any history."""

from collections import defaultdict
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from billing.bills.account import (
    Charge,
    Credit,
    EntryKind,
    Use,
    automatic_uses,
    check_refund,
    check_write_off,
    entry_minor,
    freed,
    most_refund,
    named_uses,
    own_use,
    write_off_minor,
)
from billing.bills.ageing import Ageing, ageing
from billing.bills.statement import Entry, statement
from billing.errors import RuleViolation
from tests.oracle.bills import Account
from tests.oracle.values import Refused

DAY = date(2024, 5, 1)


def charge(number: int, open_minor: int, due: int = 0, is_disputed: bool = False) -> Charge:
    return Charge(UUID(int=number), DAY + timedelta(days=due), number, open_minor, is_disputed)


def left(number: int, left_minor: int) -> Credit:
    return Credit(UUID(int=100 + number), number, left_minor)


def uses(*found: tuple[int, int, int]) -> list[Use]:
    return [Use(UUID(int=100 + credit), UUID(int=charged), amount) for credit, charged, amount in found]


@pytest.mark.parametrize(
    ("charges", "credits_left", "expected"),
    [
        ([], [left(1, 10)], []),
        ([charge(1, 10)], [], []),
        ([charge(1, 10)], [left(1, 4)], [(1, 1, 4)]),
        ([charge(1, 10), charge(2, 10, due=-1)], [left(1, 15)], [(1, 2, 10), (1, 1, 5)]),
        ([charge(2, 10), charge(1, 10)], [left(1, 15)], [(1, 1, 10), (1, 2, 5)]),
        ([charge(1, 10)], [left(2, 8), left(1, 4)], [(1, 1, 4), (2, 1, 6)]),
        ([charge(1, 10, is_disputed=True), charge(2, 3)], [left(1, 8)], [(1, 2, 3)]),
        ([charge(1, 10), charge(2, 10)], [left(1, 10), left(2, 10)], [(1, 1, 10), (2, 2, 10)]),
    ],
)
def test_b09_credit_is_used_oldest_first_for_what_is_due_first(
    charges: list[Charge], credits_left: list[Credit], expected: list[tuple[int, int, int]]
) -> None:
    assert automatic_uses(charges, credits_left) == uses(*expected)


def test_b09_a_payment_is_for_the_bills_that_it_names_also_disputed_ones() -> None:
    charges = [charge(1, 10), charge(2, 10, is_disputed=True)]
    assert named_uses(left(1, 15), {charges[1].id: 7}, charges) == uses((1, 2, 7))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({1: 11}, "0.10 are open of a bill for which 0.11 are named."),
        ({1: 0}, "0.10 are open of a bill for which 0.00 are named."),
        ({9: 1}, "0.00 are open of a bill for which 0.01 are named."),
        ({1: 9, 2: 9}, "0.18 are named, and 0.15 are left."),
    ],
)
def test_b09_a_payment_names_no_more_than_it_has_and_is_open(named: dict[int, int], said: str) -> None:
    charges = [charge(1, 10), charge(2, 10)]
    with pytest.raises(RuleViolation) as refusal:
        named_uses(left(1, 15), {UUID(int=number): amount for number, amount in named.items()}, charges)
    assert str(refusal.value) == said


@pytest.mark.parametrize(("credit", "used"), [(4, 4), (10, 10), (15, 10)])
def test_b09_a_credit_note_is_for_its_own_bill_even_if_that_is_disputed(credit: int, used: int) -> None:
    assert own_use(left(1, credit), charge(1, 10, is_disputed=True)) == uses((1, 1, used))
    assert own_use(left(1, credit), charge(1, 0)) == []


def test_b09_reversing_frees_all_uses() -> None:
    made = uses((1, 1, 10), (1, 2, 5), (1, 2, -5), (2, 1, 3))
    assert freed(made) == uses((1, 1, -10), (2, 1, -3))
    assert freed([*made, *freed(made)]) == []


@pytest.mark.parametrize(
    ("charges", "credits_left", "most"),
    [
        ([], [left(1, 10)], 10),
        ([charge(1, 4, is_disputed=True)], [left(1, 10)], 6),
        ([charge(1, 14, is_disputed=True)], [left(1, 10)], 0),
        ([], [], 0),
    ],
)
def test_b09_no_more_is_refunded_than_is_left_once_all_is_paid(
    charges: list[Charge], credits_left: list[Credit], most: int
) -> None:
    assert most_refund(charges, credits_left) == most
    check_refund(most, charges, credits_left)
    with pytest.raises(RuleViolation, match="can be refunded"):
        check_refund(most + 1, charges, credits_left)


def test_b09_a_write_off_leaves_what_is_credited_and_not_billed_yet() -> None:
    assert write_off_minor(100, 0) == 100
    assert write_off_minor(100, 30) == 70
    for credited in (100, 130):
        with pytest.raises(RuleViolation, match="Nothing of the bill is open that is not credited already"):
            write_off_minor(100, credited)


def test_b09_finance_writes_off_small_amounts_and_an_admin_any() -> None:
    check_write_off(500, is_admin=False, small_amount_minor=500)
    check_write_off(10**9, is_admin=True, small_amount_minor=0)
    with pytest.raises(RuleViolation) as refusal:
        check_write_off(501, is_admin=False, small_amount_minor=500)
    assert str(refusal.value) == "5.01 is more than the small amount of 5.00, so an Admin writes it off."


@pytest.mark.parametrize(
    ("kind", "amount", "entry"),
    [
        ("bill", 5, 5),
        ("bill", -5, -5),
        ("payment", 5, -5),
        ("credit_note", 5, -5),
        ("credit_note", -5, 5),
        ("refund", 5, 5),
        ("write_off", 5, -5),
        ("opening_item", 5, 5),
        ("opening_item", -5, -5),
    ],
)
def test_b09_signs_of_entries(kind: str, amount: int, entry: int) -> None:
    assert entry_minor(EntryKind(kind), amount) == entry


def entry(day: int, order: int, amount: int) -> Entry:
    return Entry(DAY + timedelta(days=day), order, EntryKind.BILL, f"d{order}", amount)


def test_b09_a_statement_has_opening_entries_and_closing() -> None:
    entries = [entry(2, 3, 50), entry(0, 1, 100), entry(1, 2, -30), entry(1, 4, -5), entry(3, 5, 7)]
    shown = statement(entries, DAY + timedelta(days=1), DAY + timedelta(days=2))
    assert (shown.opening_minor, shown.closing_minor) == (100, 115)
    assert [(line.document, balance) for line, balance in shown.entries] == [("d2", 70), ("d4", 65), ("d3", 115)]
    nothing = statement(entries, DAY + timedelta(days=9), DAY + timedelta(days=9))
    assert (nothing.opening_minor, nothing.entries, nothing.closing_minor) == (122, [], 122)


def test_b09_the_columns_of_ageing_add_up_to_what_is_open() -> None:
    days = [0, 1, -1, -30, -31, -60, -61, -90, -91, -4000]
    charges = [charge(n, 10**n, due=due, is_disputed=n % 2 == 1) for n, due in enumerate(days)]
    aged = ageing(charges, 5, DAY)
    assert aged == Ageing(11, 1100, 110000, 11000000, 1100000000, 1010101010, 5)
    assert aged.open_minor == 1111111111


class AnyHistory(RuleBasedStateMachine):
    """Random documents, reversals and disputes: open and left are those of the oracle, and the account adds up."""

    documents, bills = Bundle("documents"), Bundle("bills")
    amounts = st.integers(1, 50)

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Account()
        self.entries: list[Entry] = []
        self.amount: dict[UUID, int] = {}
        self.charges: dict[UUID, Charge] = {}
        self.credits: dict[UUID, Credit] = {}
        self.uses: list[Use] = []
        self.day = DAY

    # -- what the database would do with the pure functions

    def _sum(self, which: UUID) -> int:
        return sum(use.amount_minor for use in self.uses if which in (use.credit, use.charge))

    def _charges(self) -> list[Charge]:
        return [
            Charge(c.id, c.due_on, c.order, self.amount[c.id] - self._sum(c.id), c.is_disputed)
            for c in self.charges.values()
        ]

    def _credits(self) -> list[Credit]:
        return [Credit(c.id, c.order, self.amount[c.id] - self._sum(c.id)) for c in self.credits.values()]

    def _enter(self, kind: EntryKind, amount_minor: int, due_on: date) -> UUID:
        order = len(self.entries)
        signed = entry_minor(kind, amount_minor)
        self.entries.append(Entry(self.day, order, kind, "", signed))
        document = UUID(int=order)
        self.amount[document] = abs(signed)
        if signed > 0:
            self.charges[document] = Charge(document, due_on, order, signed)
        else:
            self.credits[document] = Credit(document, order, -signed)
        return document

    def _settle(self) -> None:
        self.uses += automatic_uses(self._charges(), self._credits())

    def _name(self, document: UUID) -> str:
        return str(document.int)

    # -- what happens

    @rule()
    def a_day_goes_by(self) -> None:
        self.day += timedelta(days=1)

    @rule(target=bills, amount=st.integers(-50, 50).filter(bool), due=st.integers(0, 3))
    def bill(self, amount: int, due: int) -> UUID:
        document = self._enter(EntryKind.BILL, amount, self.day + timedelta(days=due))
        self._settle()
        self.oracle.book(self._name(document), "bill", amount, self.day, self.day + timedelta(days=due))
        return document

    @rule(target=documents, amount=st.integers(-50, 50).filter(bool))
    def opening_item(self, amount: int) -> UUID:
        document = self._enter(EntryKind.OPENING_ITEM, amount, self.day)
        self._settle()
        self.oracle.book(self._name(document), "opening_item", amount, self.day)
        return document

    @rule(target=documents, amount=amounts, named=st.dictionaries(bills, amounts, max_size=2))
    def payment(self, amount: int, named: dict[UUID, int]) -> UUID | MultipleResults[UUID]:
        document = UUID(int=len(self.entries))
        try:
            found = named_uses(Credit(document, 0, amount), named, self._charges())
        except RuleViolation:
            with pytest.raises(Refused):
                self._oracle_payment(document, amount, named)
            return multiple()
        assert self._enter(EntryKind.PAYMENT, amount, self.day) == document
        self.uses += found
        self._settle()
        self._oracle_payment(document, amount, named)
        return document

    @rule(document=documents, named=st.dictionaries(bills, amounts, max_size=2))
    def name_other_bills(self, document: UUID, named: dict[UUID, int]) -> None:
        if document not in self.credits:
            return
        before = list(self.uses)
        names = {self._name(bill): part for bill, part in named.items()}
        self.uses += freed(use for use in self.uses if use.credit == document)
        try:
            self.uses += named_uses(Credit(document, 0, self.amount[document]), named, self._charges())
        except RuleViolation:
            self.uses = before
            with pytest.raises(Refused):
                self.oracle.allocate(self._name(document), names)
            return
        self._settle()
        self.oracle.allocate(self._name(document), names)

    def _oracle_payment(self, document: UUID, amount: int, named: dict[UUID, int]) -> None:
        names = {self._name(bill): part for bill, part in named.items()}
        self.oracle.book(self._name(document), "payment", amount, self.day, named=names)

    @rule(target=documents, bill=bills, amount=st.integers(-50, 50).filter(bool))
    def credit_note(self, bill: UUID, amount: int) -> UUID:
        document = self._enter(EntryKind.CREDIT_NOTE, amount, self.day)
        own = next((charge for charge in self._charges() if charge.id == bill), None)
        if amount > 0 and own is not None:
            self.uses += own_use(self.credits[document], own)
        self._settle()
        of = self._name(bill) if own is not None else None
        self.oracle.book(self._name(document), "credit_note", amount, self.day, bill=of)
        return document

    @precondition(lambda self: most_refund(self._charges(), self._credits()) > 0)
    @rule(target=documents, data=st.data())
    def refund(self, data: st.DataObject) -> UUID:
        most = most_refund(self._charges(), self._credits())
        assert most == min(self.oracle.left, -self.oracle.balance)
        with pytest.raises(Refused):
            self.oracle.book("too much", "refund", most + 1, self.day)
        amount = data.draw(st.integers(1, most))
        document = self._enter(EntryKind.REFUND, amount, self.day)
        self._settle()
        self.oracle.book(self._name(document), "refund", amount, self.day)
        assert self._charges()[-1].open_minor == 0
        return document

    @precondition(lambda self: any(charge.open_minor for charge in self._charges()))
    @rule(target=documents, data=st.data(), coming=st.integers(0, 20))
    def write_off(self, data: st.DataObject, coming: int) -> UUID:
        owed = data.draw(st.sampled_from([charge for charge in self._charges() if charge.open_minor]))
        coming = min(coming, owed.open_minor - 1)
        document = self._enter(EntryKind.WRITE_OFF, write_off_minor(owed.open_minor, coming), self.day)
        self.uses += own_use(self.credits[document], owed)
        self.oracle.write_off(self._name(document), self._name(owed.id), self.day, coming)
        return document

    @rule(document=consumes(documents))
    def reverse(self, document: UUID) -> None:
        self.uses += freed(use for use in self.uses if document in (use.credit, use.charge))
        self.charges.pop(document, None)
        self.credits.pop(document, None)
        mirrored = -self.entries[document.int].amount_minor
        self.entries.append(Entry(self.day, len(self.entries), EntryKind.REVERSAL, "", mirrored))
        self._settle()
        self.oracle.reverse(self._name(document), self.day)

    @rule(bill=bills, disputed=st.booleans())
    def dispute(self, bill: UUID, disputed: bool) -> None:
        if bill in self.charges:
            before = self.charges[bill]
            self.charges[bill] = Charge(before.id, before.due_on, before.order, before.open_minor, disputed)
            self._settle()
            self.oracle.dispute(self._name(bill), disputed)

    # -- what always holds

    @invariant()
    def open_and_left_are_those_of_the_oracle(self) -> None:
        found = {self._name(each.id): each.open_minor for each in self._charges()}
        found |= {self._name(each.id): each.left_minor for each in self._credits()}
        assert found == {name: each.rest for name, each in self.oracle.documents.items() if not each.reversed_on}

    @invariant()
    def the_account_adds_up(self) -> None:
        opened, unused = self._charges(), self._credits()
        assert all(each.open_minor >= 0 for each in opened)
        assert all(each.left_minor >= 0 for each in unused)
        account = sum(each.amount_minor for each in self.entries)
        open_sum, left_sum = sum(c.open_minor for c in opened), sum(c.left_minor for c in unused)
        assert open_sum - left_sum == account == self.oracle.balance
        if left_sum:
            assert all(each.is_disputed for each in opened if each.open_minor)
        assert ageing(opened, left_sum, self.day).open_minor == open_sum

    @invariant()
    def statements_follow_each_other(self) -> None:
        middle = DAY + (self.day - DAY) // 2
        first, second = statement(self.entries, DAY, middle), statement(self.entries, middle + timedelta(1), self.day)
        assert first.opening_minor == 0
        assert first.closing_minor == second.opening_minor == self.oracle.balance_on(middle)
        assert second.closing_minor == self.oracle.balance
        by_credit: dict[tuple[UUID, UUID], int] = defaultdict(int)
        for use in self.uses:
            by_credit[use.credit, use.charge] += use.amount_minor
        assert min(by_credit.values(), default=0) >= 0


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(stateful_step_count=25)
