"""B7: the files of an issued bill, read back: each from its sealed content alone, the same bytes always."""

import csv
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from pypdf import PdfReader

from billing.bills.credit_notes import TakenBack, cancelling_note, credit_note
from billing.bills.digest import digest_of, seal_of
from billing.bills.lines import Adjustment, lines_of
from billing.bills.values import Content, Issue, Party, TermsOfBill
from billing.bills.verify import difference_in_file
from db.bills.files.formats import MEDIA_TYPES, BillFormat, file_from_bill
from db.bills.files.language import language_of
from db.reports.fonts import spelled
from tests.billing.bills.builders import ISSUE, S7, S20, content, credit, product

ROOT = Path(__file__).parents[3]
TERMS = TermsOfBill(monthly_limit=10000, overage_unit_cost=Decimal("0.0125"), tax=S20, po_number="PO-2024-118")
USAGE = {"api": 11250, "sms": 80, "leadger": 300}
BILL = content(
    *lines_of(
        TERMS,
        [
            product(128450, "crm", actions=214, late=3, duplicate_savings_minor=9000, cap_savings_minor=400),
            product(45600, "web", actions=1),
        ],
        [credit(1500)],
        USAGE,
        [Adjustment("Goodwill", -5000, "outage of 3 April"), Adjustment("Set-up", 25000, "order 17", S7, own_tax=True)],
    ),
    terms=TERMS,
    usage=USAGE,
    tax_notes={S7: "Reduced rate"},
)
NOTE_ISSUE = replace(ISSUE, number="ACME-CN-0001", corrected={202404: "ACME-0007"}, applied_minor=0)


def pages(bill: Content, issue: Issue = ISSUE) -> list[str]:
    reader = PdfReader(io.BytesIO(file_from_bill(bill, issue, BillFormat.PDF)))
    return [page.extract_text().replace("\xa0", " ") for page in reader.pages]


def test_b07_the_pdf_says_what_the_bill_asks_for() -> None:
    [page] = pages(BILL)
    for text in (
        "Leadger GmbH",
        "Acme Ltd",
        "ACME-0007",
        "April 2024",
        "June 1, 2024",
        "PO-2024-118",
        "crm · 214 actions, 3 of them late",
        "web · 1 action",
        "Not billed: 90.00 as duplicates, 4.00 above the cap",
        "Corrects bill ACME-0006 of March 2024",
        "11,330 units counted (api 11,250, sms 80), 10,000 of them included",
        "0.012500",
        "outage of 3 April",
        "Standard rate (S)",
        "Reduced rate",
        "Credit applied",
        "Please pay EUR 2,297.06 by June 1, 2024 and name ACME-0007.",
        "DE02 1203 0000 0000 2020 51",
        "Page 1 of 1",
        digest_of(BILL),
        seal_of(BILL, ISSUE),
    ):
        assert text in page, text
    for amount in ("1,284.50", "−15.00", "16.63", "−50.00", "1,942.13", "355.93", "2,298.06", "−1.00"):
        assert amount in page, amount


@pytest.mark.parametrize(
    ("paper", "language", "size", "texts"),
    [
        ("A4", "de", (595, 842), ["2.297,06", "1. Juni 2024", "20 %", "0,012500"]),
        ("Letter", "en-GB", (612, 792), ["2,297.06", "1 June 2024", "20%"]),
        ("A4", "ar", (595, 842), ["2,297.06", "2024-06-01", "2024-04"]),
    ],
)
def test_b07_paper_numbers_and_dates_are_as_the_partner_prefers(
    paper: str, language: str, size: tuple[int, int], texts: list[str]
) -> None:
    issue = replace(ISSUE, paper=paper, language=language)
    box = PdfReader(io.BytesIO(file_from_bill(BILL, issue, BillFormat.PDF))).pages[0].mediabox
    assert (round(box.width), round(box.height)) == size
    [page] = pages(BILL, issue)
    for text in texts:
        assert text in page, text


def test_b07_a_long_bill_repeats_the_heads_and_counts_its_pages() -> None:
    lines = lines_of(TERMS, [product(100, f"product-{n:02d}") for n in range(60)], [], {}, [])
    found = pages(content(*lines, terms=TERMS))
    assert len(found) == 4
    for number, page in enumerate(found, start=1):
        assert f"Page {number} of 4" in page
        assert ("DESCRIPTION" in page) is (number < 4)
    assert [page.count("PRODUCT-59") for page in found] == [0, 0, 1, 0]
    assert "PAYMENT" in found[3]


@pytest.mark.parametrize(
    ("bill", "issue", "said"),
    [
        (content(*lines_of(TERMS, [], [credit(1500)], {}, [])), replace(ISSUE, applied_minor=0),
         "There is nothing to pay. EUR 18.00 are carried forward as credit on your account."),
        (content(*lines_of(TERMS, [product(100)], [], {}, [])), replace(ISSUE, applied_minor=120),
         "There is nothing to pay."),
        (credit_note(BILL, {1: 25000}, TakenBack({}, {}), "wrong price"), NOTE_ISSUE,
         "EUR 300.00 are credited to your account."),
        (cancelling_note(content(*lines_of(TERMS, [], [credit(1500)], {}, [])), TakenBack({}, {}), "wrong"), NOTE_ISSUE,
         "EUR 18.00 are charged to your account."),
    ],
)  # fmt: skip
def test_b07_the_payment_block_says_what_is_to_be_done(bill: Content, issue: Issue, said: str) -> None:
    [page] = pages(bill, issue)
    assert said in page
    assert "IBAN" not in page


def test_b08_a_credit_note_names_its_bill_and_its_reason() -> None:
    [page] = pages(credit_note(BILL, {1: 25000}, TakenBack({}, {}), "wrong price"), NOTE_ISSUE)
    assert "Credit note" in page
    assert "wrong price – for bill ACME-0007" in page
    assert "Due by" not in page


@pytest.mark.parametrize("text", ["#panic()", "$x^2$ *b* _i_ `c` @ref <label>", '"; #let x = 1', "\\u{41}", "W" * 200])
def test_b07_no_text_is_read_as_markup(text: str) -> None:
    lines = lines_of(TERMS, [], [], {}, [Adjustment(text, 100, text)])
    printed = "".join(pages(content(*lines, buyer=Party(text, text), tax_notes={S20: text})))
    assert printed.replace("\n", "").replace("\u200b", "").count(text) == 5


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("株式会社リード", "株式会社リード"),
        ("上海贸易有限公司", "上海贸易有限公司"),
        ("한국 주식회사", "한국 주식회사"),
        ("דוגמה", "דוגמה"),
        ("Ελλάδα & Łódź", "Ελλάδα & Łódź"),
        ("🦀 Ltd", "🦀 Ltd"),
        ("𐍈𐌰 Ltd", "[U+10348][U+10330] Ltd"),
    ],
)
def test_b07_a_name_in_any_script_is_read_back_from_the_pdf(name: str, printed: str) -> None:
    """No letter is lost: one that no font has is named by its number."""
    bill = content(*lines_of(TERMS, [product(100)], [], {}, []), buyer=Party(name, name))
    for kind in BillFormat:
        assert file_from_bill(bill, ISSUE, kind)
    [page] = pages(bill)
    assert page.count(printed) == 2
    assert "Please pay EUR 0.20 by June 1, 2024 and name ACME-0007." in page


@pytest.mark.parametrize("name", ["شركة القيادة", "บริษัท ตัวอย่าง", "उदाहरण", "მაგალითი", "Օրինակ", "উদাহরণ"])
def test_b07_letters_that_join_are_in_the_fonts_of_the_pdf(name: str) -> None:
    """What a reader of PDFs makes of joined letters is its own; so the fonts that are in the file are looked at."""
    bill = content(*lines_of(TERMS, [], [], {}, []), buyer=Party(name, None))
    reader = PdfReader(io.BytesIO(file_from_bill(bill, ISSUE, BillFormat.PDF)))
    fonts = reader.pages[0]["/Resources"]["/Font"]  # type: ignore[index] # a page has resources
    noto = [font for font in fonts.values() if "Noto" in font.get_object()["/BaseFont"]]
    assert len(noto) == 1
    assert spelled(name) == name


def test_b07_the_csv_has_a_row_for_each_line_and_the_rows_add_up() -> None:
    rows = list(csv.DictReader(io.StringIO(file_from_bill(BILL, ISSUE, BillFormat.CSV).decode())))
    assert len(rows) == len(BILL.lines)
    assert sum(Decimal(row["net"]) for row in rows) == Decimal("1942.13")
    assert {row["document"] for row in rows} == {"ACME-0007"}
    assert [row["corrects"] for row in rows if row["kind"] == "credit"] == ["ACME-0006"]
    assert [row["unit_price"] for row in rows if row["kind"] == "overage"] == ["0.012500"]
    assert [row["quantity"] for row in rows] == ["1", "1", "-1", "1330", "-1", "1"]


def test_b07_the_json_is_proven_by_verify() -> None:
    assert difference_in_file(file_from_bill(BILL, ISSUE, BillFormat.JSON)) is None


def test_b07_the_workbook_has_amounts_as_numbers_that_add_up() -> None:
    book = openpyxl.load_workbook(io.BytesIO(file_from_bill(BILL, ISSUE, BillFormat.XLSX)))
    assert book.sheetnames == ["Bill", "Lines", "Taxes"]
    facts = dict(book["Bill"].iter_rows(min_row=2, values_only=True))
    assert (facts["Number"], facts["Net"], facts["Due"]) == ("ACME-0007", 1942.13, 2297.06)
    assert facts["Seal"] == seal_of(BILL, ISSUE)
    head, *rows = book["Lines"].iter_rows(values_only=True)
    assert round(sum(row[head.index("Net")] for row in rows), 2) == 1942.13
    assert [row for row in book["Taxes"].iter_rows(min_row=2, values_only=True)] == [  # noqa: C416 # rows are a generator
        ("S", 7, 250, 17.5, "Reduced rate"),
        ("S", 20, 1692.13, 338.43, None),
    ]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@A1", "https://example.com", "=HYPERLINK()"])
def test_b07_no_spreadsheet_executes_what_a_text_says(formula: str) -> None:
    bill = content(*lines_of(TERMS, [], [], {}, [Adjustment(formula, 100, formula)]))
    book = openpyxl.load_workbook(io.BytesIO(file_from_bill(bill, ISSUE, BillFormat.XLSX)))
    cell = book["Lines"]["C2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (formula, "s", None)
    [row] = csv.DictReader(io.StringIO(file_from_bill(bill, ISSUE, BillFormat.CSV).decode()))
    assert row["text"] == (formula if formula.startswith("https") else f"'{formula}")


def test_b07_another_process_makes_the_same_bytes_from_the_json_file_alone(tmp_path: Path) -> None:
    """In another time zone and language, and in a folder that has nothing but the file."""
    (tmp_path / "bill.json").write_bytes(file_from_bill(BILL, ISSUE, BillFormat.JSON))
    elsewhere = {"PYTHONPATH": str(ROOT), "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", _AGAIN], cwd=tmp_path, env=os.environ | elsewhere, check=True)
    for kind in BillFormat:
        assert (tmp_path / f"again.{kind}").read_bytes() == file_from_bill(BILL, ISSUE, kind), kind
    assert set(MEDIA_TYPES) == set(BillFormat)


def test_b07_two_threads_make_the_same_bytes_at_the_same_time() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(lambda _: file_from_bill(BILL, ISSUE, BillFormat.PDF), range(8)))
    assert made == {file_from_bill(BILL, ISSUE, BillFormat.PDF)}


_AGAIN = """
import json
from pathlib import Path
from billing.bills.issue_wire import issue_from_json
from billing.bills.wire import content_from_json
from db.bills.files.formats import BillFormat, file_from_bill
bill = json.loads(Path("bill.json").read_bytes())
for kind in BillFormat:
    file = file_from_bill(content_from_json(bill["bill"]), issue_from_json(bill["issue"]), kind)
    Path(f"again.{kind}").write_bytes(file)
"""


@pytest.mark.parametrize(
    ("code", "amount", "percent", "day", "month"),
    [
        ("en", "−1,234,567.89", "7.5%", "June 1, 2024", "April 2024"),
        ("de-CH", "−1'234'567.89", "7.5%", "1. Juni 2024", "April 2024"),
        ("fr", "−1\u202f234\u202f567,89", "7,5\xa0%", "1 juin 2024", "avril 2024"),
        ("ru", "−1\xa0234\xa0567,89", "7,5\xa0%", "1 июня 2024\u202fг.", "апрель 2024\u202fг."),
        ("hi", "−1,234,567.89", "7.5%", "1 जून 2024", "अप्रैल 2024"),
        ("ja", "−1,234,567.89", "7.5%", "2024年6月1日", "2024年4月"),
        ("he", "−1,234,567.89", "7.5%", "2024-06-01", "2024-04"),
        ("zz", "−1,234,567.89", "7.5%", "June 1, 2024", "April 2024"),
        ("", "−1,234,567.89", "7.5%", "June 1, 2024", "April 2024"),
    ],
)
def test_b07_languages_write_numbers_and_dates(code: str, amount: str, percent: str, day: str, month: str) -> None:
    language = language_of(code)
    assert language.amount(-123456789) == amount
    assert language.percent(Decimal("7.50")) == percent
    assert language.date(date(2024, 6, 1)) == day
    assert language.month(202404) == month
