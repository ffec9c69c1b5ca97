"""A partner's list as people write it: amounts, days and columns."""

from datetime import date

import pytest

from billing.csv_rows import InvalidRows
from billing.errors import InvalidValue
from billing.local_amounts import decimal_sign, minor_from_local
from billing.reconciliation import By, ListedRow, list_from_csv


@pytest.mark.parametrize(
    ("text", "sign", "minor"),
    [
        ("12", ".", 1200),
        ("12.5", ".", 1250),
        ("12,50", ",", 1250),
        ("1.234,56 €", ",", 123456),
        ("EUR 1,234.56", ".", 123456),
        ("1\u202f234\u00a0567,8", ",", 123456780),
        ("1'234.50", ".", 123450),
        ("-3.00", ".", -300),
        ("1.234", ",", 123400),
        ("0.00", ".", 0),
    ],
)
def test_amounts_as_people_write_them(text: str, sign: str, minor: int) -> None:
    assert minor_from_local(text, sign) == minor


@pytest.mark.parametrize(
    ("text", "sign"),
    [("1.234", "."), ("12,50", "."), ("1,23,456", "."), ("", "."), ("1.2.3", ","), ("ten", "."), ("2e3", ".")],
)
def test_what_is_no_amount_is_refused(text: str, sign: str) -> None:
    with pytest.raises(InvalidValue):
        minor_from_local(text, sign)


def test_one_amount_with_decimals_says_how_all_of_a_file_are_written() -> None:
    assert decimal_sign(["1.234", "5", "3,50 €"]) == ","
    assert decimal_sign(["1,234", "1,234.50"]) == "."
    assert decimal_sign(["12"]) == "."
    with pytest.raises(InvalidValue, match="written alike"):
        decimal_sign(["3,50", "3.50"])


def test_a_list_is_read_by_the_most_exact_of_what_it_names() -> None:
    by_lead = list_from_csv("Lead-ID;Source;E-Mail;Amount\n7;crm;a@b.example;1.000\n8;;;2,50\n")
    assert by_lead.by is By.LEAD
    assert by_lead.rows == [
        ListedRow(2, 100000, lead_id="7", source="crm"),
        ListedRow(3, 250, lead_id="8"),
    ]
    by_person = list_from_csv('email,date,price\nA@b.example,10.04.2024,"1.00"\n')
    assert by_person.rows == [ListedRow(2, 100, email="A@b.example", day=date(2024, 4, 10))]
    assert list_from_csv("action_id,lead_id,billed\na,7,1\n").by is By.ACTION


def test_of_our_own_report_the_actions_count_with_what_is_billed_of_them() -> None:
    text = (
        "row,amount,billed,credited,action_id\naction,10.00,4.00,0.00,a\ncredit,0.00,0.00,10.00,b\n"
        "product total,10.00,4.00,10.00,\ntotal,10.00,4.00,10.00,\n"
    )
    assert list_from_csv(text).rows == [ListedRow(2, 400, action_id="a")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("lead_id,amount\n7,\n8,x\n", [(2, "must have an amount in the column amount"), (3, "must be an amount")]),
        ("action_id,lead_id,amount\na,7,1\n,8,1\n", [(3, "must have the action_id that other rows have")]),
        ("email,day,amount\na@b.example,10/04/2024,1\n", [(2, "must have a day like")]),
        ("email,amount\na@b.example,1\n", [(2, "must have an action_id, a lead_id, or an email and a day")]),
        ('lead_id,amount\n7,1.00\n8,"1,00"\n', [(1, "must be written alike")]),
        ("lead_id,amount,billed\n7,1.00,\n8,1.00,1.00\n", [(2, "must have an amount in the column billed")]),
        ("lead_id,amount,price\n7,1.00,2.00\n", [(1, "names the column amount twice")]),
    ],
)
def test_every_bad_row_is_named(text: str, faults: list[tuple[int, str]]) -> None:
    with pytest.raises(InvalidRows) as refused:
        list_from_csv(text)
    assert [line for line, _ in refused.value.faults] == [line for line, _ in faults]
    assert all(detail.startswith(said) for (_, detail), (_, said) in zip(refused.value.faults, faults, strict=True))


def test_bad_rows_count_like_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed before: each of millions of rows with too many fields was kept with what is wrong with it."""
    monkeypatch.setattr("billing.reconciliation.MOST_ROWS", 10)
    with pytest.raises(InvalidRows) as refused:
        list_from_csv("lead_id,amount\n" + ",,,x\n" * 1000)
    assert refused.value.faults == [(12, "is more than the 10 rows that are taken at a time")]
