"""What differs between two bills, by cause."""

from hypothesis import given

from billing.bills.comparison import causes
from billing.bills.lines import lines_of
from billing.bills.tax import totals_of
from billing.bills.values import Content, TermsOfBill
from tests.billing.bills.builders import S20, content, contents, product


def bill(*figures: tuple[int, str]) -> Content:
    terms = TermsOfBill(tax=S20)
    return content(*lines_of(terms, [product(*each) for each in figures], [], {}, []), terms=terms)


def test_causes_are_named_and_signed_the_largest_first() -> None:
    found = causes(bill((1000, "crm"), (500, "cloud")), bill((1500, "crm"), (100, "mail")))
    assert [(each.kind, each.text, each.product, each.difference_minor) for each in found] == [
        ("leads", "CRM", "crm", 500),
        ("leads", "CLOUD", "cloud", -500),
        ("leads", "MAIL", "mail", 100),
        ("tax", "Tax", None, 20),
    ]
    assert causes(bill((1000, "crm")), bill((1000, "crm"))) == []


def test_everything_is_new_where_there_was_no_bill() -> None:
    assert [(each.text, each.before_minor, each.now_minor) for each in causes(None, bill((1000, "crm")))] == [
        ("CRM", 0, 1000),
        ("Tax", 0, 200),
    ]


@given(contents(), contents())
def test_the_causes_add_up_to_the_difference(before: Content, now: Content) -> None:
    difference = totals_of(now).gross_minor - totals_of(before).gross_minor
    assert sum(each.difference_minor for each in causes(before, now)) == difference
