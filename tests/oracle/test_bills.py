"""The oracle for the account against figures worked out by hand."""

from datetime import date, timedelta

import pytest

from tests.oracle.bills import Account
from tests.oracle.values import Refused

MAY = date(2024, 5, 1)


def day(number: int) -> date:
    return MAY + timedelta(days=number)


def account() -> Account:
    """A bill of 100.00 due on day 30, one of 50.00 due on day 20, and a payment of 120.00."""
    account = Account()
    account.book("may", "bill", 10000, day(0), day(30))
    account.book("april", "bill", 5000, day(1), day(20))
    account.book("transfer", "payment", 12000, day(2))
    return account


def rests(account: Account) -> dict[str, int]:
    return {name: document.rest for name, document in account.documents.items()}


def test_credit_covers_first_what_is_due_first() -> None:
    assert rests(account()) == {"may": 3000, "april": 0, "transfer": 0}
    assert (account().open, account().left, account().balance) == (3000, 0, 3000)


def test_a_payment_covers_what_it_names() -> None:
    found = account()
    found.allocate("transfer", {"may": 10000})
    assert rests(found) == {"may": 0, "april": 3000, "transfer": 0}
    with pytest.raises(Refused):
        found.allocate("transfer", {"may": 10001})
    assert rests(found) == {"may": 0, "april": 3000, "transfer": 0}


def test_what_is_reversed_frees_what_it_covered() -> None:
    found = account()
    found.reverse("transfer", day(3))
    assert rests(found) == {"may": 10000, "april": 5000, "transfer": 0}
    assert [found.balance_on(day(n)) for n in range(4)] == [10000, 15000, 3000, 15000]
    with pytest.raises(Refused):
        found.reverse("transfer", day(4))


def test_a_disputed_bill_waits_and_nothing_is_refunded_for_it() -> None:
    found = Account()
    found.book("may", "bill", 10000, day(0), day(30))
    found.dispute("may", True)
    found.book("transfer", "payment", 12000, day(1))
    assert (found.open, found.left) == (10000, 12000)
    with pytest.raises(Refused):
        found.book("back", "refund", 2001, day(2))
    found.book("back", "refund", 2000, day(2))
    assert (found.open, found.left, found.balance) == (10000, 10000, 0)
    found.dispute("may", False)
    assert (found.open, found.left, found.balance) == (0, 0, 0)


def test_a_credit_note_covers_its_own_bill_then_others() -> None:
    found = Account()
    found.book("may", "bill", 10000, day(0), day(30))
    found.book("april", "bill", 5000, day(0), day(20))
    found.book("note", "credit_note", 4000, day(1), bill="may")
    assert rests(found) == {"may": 6000, "april": 5000, "note": 0}
    found.book("transfer", "payment", 9000, day(2))
    found.book("cancelling", "credit_note", 6000, day(3), bill="may")
    assert rests(found) == {"may": 0, "april": 0, "note": 0, "transfer": 0, "cancelling": 4000}


def test_a_bill_below_zero_is_credit_and_a_write_off_ends_what_is_open() -> None:
    found = Account()
    found.book("june", "bill", -3000, day(0))
    found.book("july", "bill", 5000, day(1), day(30))
    assert rests(found) == {"june": 0, "july": 2000}
    found.write_off("loss", "july", day(40), coming_credit=500)
    assert (found.open, found.balance) == (500, 500)
    with pytest.raises(Refused):
        found.write_off("more", "july", day(41), coming_credit=500)
