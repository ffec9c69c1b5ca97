"""Reports as text: what every kind of row says in each format, the same live and as a file."""

import csv
import io
import itertools
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pypdf import PdfReader
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger.policies import Policies
from db.reports import live_report, pdf_format, report_customers, report_lines, snapshots
from db.reports.csv_format import cell_as_given, csv_row
from db.reports.explained_actions import Line
from db.reports.formats import FORMATS, blocks
from db.reports.markdown_format import md_cell
from tests.api.world import Json, action, bill, finish_tasks, get, lead, make, make_masters
from tests.changes import changed_reports

WANTED = Path(__file__).parent / "report_text"
REASON = 'wrong, "really" *so* | <b>'


@pytest.fixture
async def months(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> dict[str, Json]:
    """April, closed, with every outcome, and May with a late action and a credit; both are written as files."""
    await make_masters(client, cap="22.00")
    await make(client, "products", external_id="b", partner="acme", name='A, "B" | C')
    await make(client, "customers", external_id="bob, jr", name="Bob", email="=bob*1@example.com")
    await bill(
        client,
        engine,
        policies,
        lead("full", action("Click"), action("Call", "Medium", "2024-04-02T10:00:00.000001Z")),
        lead("twice", action("Click", at="2024-04-03T10:00:00Z"), product_id="widget"),
        lead("part, of it", action("=Sum", at="2024-04-04T10:00:00.5Z"), product_id="b", lead_type="E-mail [1]"),
        lead("capped", action("Late Call", "Low", "2024-04-05T10:00:00Z")),
        lead("held", action("Visit", "Low", "2024-04-06T10:00:00Z"), customer_id="bob, jr"),
        lead("returned", action("Demo", "Low", "2024-04-07T10:00:00Z"), customer_id="bob, jr"),
        lead("billed", action("Click", at="2024-04-08T10:00:00Z"), customer_id="bob, jr"),
    )
    actions = {name: await _actions_of(client, name) for name in ("held", "returned", "billed")}
    await _decide(client, actions["held"], "hold")
    await _decide(client, actions["returned"], "return")
    closing = await client.post("/api/partners/acme/periods/2024-04/close")
    assert closing.status_code == 202
    await finish_tasks(engine, policies, settings)
    await bill(client, engine, policies, lead("late", action("Webinar", "Low", "2024-04-09T10:00:00Z")))
    await _decide(client, actions["billed"], "return")
    async with transaction(engine) as connection:  # the file of April is from before the credit
        await connection.execute("DELETE FROM billing_report_files")
        await connection.execute("DELETE FROM billing_reports")
        changed = await changed_reports(connection)
    assert [await snapshots.snapshot(engine, settings, *report) for report in changed] == [1, 1]
    return {report["period"]: report for report in (await get(client, "/billing/reports"))["items"]}


async def _actions_of(client: httpx.AsyncClient, lead_id: str) -> str:
    (found,) = (await get(client, f"/leads/{lead_id}"))["actions"]
    return str(found["action_id"])


async def _decide(client: httpx.AsyncClient, action_id: str, verb: str) -> None:
    response = await client.post(f"/api/actions/{action_id}/{verb}", json={"reason": REASON})
    assert response.status_code == 200, response.text


def _whenever(text: bytes) -> bytes:
    return re.sub(rb"As of [0-9: -]{19} UTC", b"As of then", text)


async def test_a_report_is_the_same_text_live_and_as_a_file(
    client: httpx.AsyncClient, months: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    for period, kind in itertools.product(months, FORMATS):
        path = f"/billing/reports/{months[period]['report_id']}"
        wanted = (WANTED / f"{period}.{kind}").read_bytes()
        for lines_of_a_block in (1, 2, 100):
            monkeypatch.setattr("db.reports.formats.LINES_PER_BLOCK", lines_of_a_block)
            live = (await client.get(path, params={"format": kind})).content
            assert _whenever(live) == wanted
        written = (await client.get(path, params={"format": kind, "version": 1})).content
        assert _whenever(written) == wanted
        (version,) = (await get(client, f"{path}/versions"))["items"]
        (file,) = (file for file in version["files"] if file["format"] == kind)
        assert (file["size_bytes"], file["sha256"]) == (len(written), sha256(written).hexdigest())


MONEY = {
    "amount": "gross",
    **{name: name for name in ("billed", "credited", "net", "duplicate_savings", "cap_savings")},
}
"""The columns of money of the CSV, and which of the totals each adds up to."""


async def test_r14_rows_add_up_to_the_totals_in_each_format(client: httpx.AsyncClient, months: dict[str, Json]) -> None:
    sums = {"2024-04": ("32.00", "0.00", "32.00"), "2024-05": ("2.00", "10.00", "-8.00")}
    for period, report in months.items():
        totals = report["totals"]
        assert (totals["billed"], totals["credited"], totals["net"]) == sums[period]
        assert report["credited"] == totals["credited"]
        for parts in (report["customers"], report["products"]):
            for name in ("billed", "credited", "net"):
                assert sum(Decimal(part["totals"][name]) for part in parts) == Decimal(totals[name])
        path = f"/billing/reports/{report['report_id']}"
        for query in ({}, {"version": 1}):
            text = (await client.get(path, params={"format": "csv", **query})).text
            rows = list(csv.DictReader(io.StringIO(text)))
            for column, name in MONEY.items():
                assert sum(Decimal(row[column]) for row in rows) == Decimal(totals[name]), (period, column)
            actions, *tables, products, total = _sums_of_tables(
                (await client.get(path, params={"format": "md", **query})).text
            )
            assert products == total == {name: Decimal(totals[MONEY_OF_MARKDOWN[name]]) for name in total}
            assert actions == {name: total["Gross" if name == "Amount" else name] for name in ("Amount", "Billed")}
            assert sum(credited["Credited"] for credited in tables) == total["Credited"], (
                "the credits, if there are any"
            )
        (written,) = (await get(client, f"{path}/versions"))["items"]
        assert (written["totals"], written["products"]) == (totals, report["products"])


MONEY_OF_MARKDOWN = {
    name.replace("_", " ").capitalize(): name
    for name in ("gross", "billed", "credited", "net", "duplicate_savings", "cap_savings")
}


def _sums_of_tables(text: str) -> list[dict[str, Decimal]]:
    """The sum of each column of money of each table."""
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    sums = []
    for table in tables:
        names, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table]
        columns = {name.strip(): [row[place].strip() for row in rows] for place, name in enumerate(names)}
        money = {"Amount", *MONEY_OF_MARKDOWN}
        sums.append({name: sum(map(Decimal, cells), Decimal()) for name, cells in columns.items() if name in money})
    return sums


async def test_r14_a_credit_is_a_row_that_bills_nothing(client: httpx.AsyncClient, months: dict[str, Json]) -> None:
    text = (await client.get(f"/billing/reports/{months['2024-05']['report_id']}", params={"format": "csv"})).text
    (credit,) = (row for row in csv.DictReader(io.StringIO(text)) if row["row"] == "credit")
    names = ("amount", "billed", "credited", "net", "duplicate_savings", "cap_savings")
    assert [credit[name] for name in names] == ["0.00", "0.00", "10.00", "-10.00", "0.00", "0.00"]


async def test_r14_leads_say_what_is_credited_for_them(client: httpx.AsyncClient, months: dict[str, Json]) -> None:
    assert months
    lead_totals = (await get(client, "/leads/billed"))["totals"]
    assert [lead_totals[name] for name in ("billed", "credited", "net")] == ["10.00", "10.00", "0.00"]
    listed = {each["lead_id"]: each["totals"] for each in (await get(client, "/leads"))["items"]}
    assert listed["billed"] == lead_totals
    assert [listed["full"][name] for name in ("billed", "credited", "net")] == ["15.00", "0.00", "15.00"]


async def test_versions_of_older_releases_do_not_guess_what_was_credited(
    client: httpx.AsyncClient, engine: AsyncEngine, months: dict[str, Json]
) -> None:
    """They kept what was credited of the whole report only; where that is nothing, it is nothing for each product."""
    async with transaction(engine) as connection:
        await connection.execute(
            "UPDATE billing_reports SET products = (SELECT jsonb_agg(p - 'credited_minor') "
            "FROM jsonb_array_elements(products) AS p)"
        )
    known = {}
    for period, report in months.items():
        (written,) = (await get(client, f"/billing/reports/{report['report_id']}/versions"))["items"]
        known[period] = {(each["totals"]["credited"], each["totals"]["net"]) for each in written["products"]}
        assert written["totals"] == report["totals"]
    assert known == {"2024-04": {("0.00", "7.00"), ("0.00", "25.00")}, "2024-05": {(None, None)}}


async def test_two_products_of_one_name_are_told_apart(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    for product in ("one", "two"):
        await make(client, "products", external_id=product, partner="acme", name="Same")
    leads = [lead(product, action(product), product_id=product) for product in ("one", "two")]
    await bill(client, engine, policies, *leads)
    (report,) = (await get(client, "/billing/reports"))["items"]
    path = f"/billing/reports/{report['report_id']}"
    rows = list(csv.DictReader((await client.get(path, params={"format": "csv"})).text.splitlines()))
    assert [(row["product"], row["product_id"]) for row in rows] == [("Same", "one"), ("Same", "two")]
    assert {(row["customer"], row["customer_name"]) for row in rows} == {("anna", "Anna")}
    text = (await client.get(path, params={"format": "md"})).text
    assert all(text.count(f"Same ({product})") == 2 for product in ("one", "two"))


@pytest.mark.parametrize("lines", [0, 1, 2, 3])
async def test_no_block_is_empty(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """An empty block would end a body that is sent in chunks."""
    await make_masters(client)
    of_may = lead("of May", action(at="2024-05-01T00:00:00Z"))
    await bill(client, engine, policies, of_may, *(lead(f"lead-{n}") for n in range(lines)))
    monkeypatch.setattr("db.reports.formats.LINES_PER_BLOCK", 2)
    async with transaction(engine, readonly=True) as connection:
        partner_id = await connection.fetchval("SELECT id FROM partners")
        report = await live_report.read(connection, partner_id, 202404)
        for kind, form in FORMATS.items():
            texts = [text async for (text,) in blocks(connection, report, [form])]
            assert len(texts) == (2 if kind == "md" else 1) + -(-lines // 2)
            assert all(texts)


async def test_all_files_of_a_version_are_written_in_one_pass_over_its_lines(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    policies: Policies,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead())
    passes = 0
    lines = report_lines.lines

    def counted(*arguments: Any, **options: Any) -> AsyncIterator[Line]:
        nonlocal passes
        passes += 1
        return lines(*arguments, **options)

    monkeypatch.setattr(report_lines, "lines", counted)
    async with transaction(engine) as connection:
        ((partner_id, period),) = await changed_reports(connection)
    assert await snapshots.snapshot(engine, settings, partner_id, period) == 1
    assert passes == 1
    assert len(list(settings.home.glob("reports/2024-04/*"))) == len(FORMATS) == 2


CELLS = st.lists(st.text(st.sampled_from('a," =+-@;\uff1d\uff0b\uff0d\uff20é1.0'), max_size=6), max_size=4)
FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20](?!\d+\.\d\d\Z)")


@given(CELLS)
@example([])
@example([""])
@example(["", ""])
@example(["-1.00", "-1.0", "a,b", 'c"d'])
@example(["Click;=1+1", 'a;"=1', "\uff1d1+1", " =1"])
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_splits(cells: list[str]) -> None:
    """Case 46: at commas, and where the list separator is another one, at that."""
    text = csv_row(cells)
    if cells:
        (row,) = csv.reader(io.StringIO(text, newline=""))
        for cell, given_cell in zip(row, cells, strict=True):
            assert cell_as_given(cell).removeprefix("'") == cell_as_given(given_cell).removeprefix("'")
        assert not [cell for cell in row if FORMULA.match(cell)]
    for row in csv.reader(io.StringIO("a," + text, newline=""), delimiter=";"):
        assert not [cell for cell in row if FORMULA.match(cell.lstrip(' "'))]


def test_plain_cells_and_amounts_are_written_as_they_are() -> None:
    assert csv_row(["-1.00", "a-b", "3;4", "x@y.example", "a = b"]) == "-1.00,a-b,3;4,x@y.example,a = b\n"
    assert csv_row(["Click;=1+1", "\uff1d3+3", "=1", "-1.0"]) == "Click;'=1+1,'\uff1d3+3,'=1,'-1.0\n"


@pytest.mark.parametrize("address", ["=x@y.example", "a;=b@y.example", "plain@y.example", "'x@y.example"])
def test_an_address_is_found_again_behind_our_quotes(address: str) -> None:
    """An erasure looks for it in the Markdown of the same version."""
    (row,) = csv.reader([csv_row([address])])
    assert cell_as_given(row[0]) == address


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=30))
@example("R&copy;D | ~~old~~ _new_ $5 and $10 https://x.example <b>#1</b>")
@example("1. step")
@example("www.y.example")
@example("![a](b)")
@example("\\|")
def test_a_name_in_markdown_is_rendered_exactly(name: str) -> None:
    """Case 47."""
    head = "| a | b |\n|---|---|\n"
    tokens = MARKDOWN.parse(f"{head}| {md_cell(name)} | x |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    children = cells[2].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == name
    written = md_cell(name)
    assert not re.search(r"(?<!\\)\$|(?<!\\)://|www\.", written)


async def test_r14_credits_are_read_in_pieces(
    client: httpx.AsyncClient, engine: AsyncEngine, months: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: all credits of a month were in memory at once."""
    for returned in (await get(client, "/leads/full"))["actions"]:
        await _decide(client, returned["action_id"], "return")
    monkeypatch.setattr(report_lines, "CREDITS_AT_ONCE", 2)
    async with transaction(engine, readonly=True) as connection:
        partner_id = await connection.fetchval("SELECT id FROM partners")
        pieces = [piece async for piece in report_lines.booked_credits(connection, partner_id, 202405)]
    assert [len(piece) for piece in pieces] == [2, 1]
    path = f"/billing/reports/{months['2024-05']['report_id']}"
    rows = list(csv.DictReader(io.StringIO((await client.get(path, params={"format": "csv"})).text)))
    assert [row["credited"] for row in rows if row["row"] == "credit"] == ["10.00", "10.00", "5.00"]
    page = (await client.get(path, params={"format": "md"})).text
    assert (page.count("## Credits"), page.count("| April 2024 |")) == (1, 3)


async def test_a_live_report_comes_as_pdf(
    client: httpx.AsyncClient, engine: AsyncEngine, months: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/billing/reports/{months['2024-05']['report_id']}"
    answer = await client.get(path, headers={"accept": "application/pdf"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    [page] = (each.extract_text() for each in PdfReader(io.BytesIO(answer.content)).pages)
    report = await get(client, path)
    net = report["totals"]["net"]
    for text in ("Acme", "May 2024", "Not final", "Widget", "=bob*1@example.com", f"EUR {net}", report["digest"]):
        assert text in page, page
    final = f"/billing/reports/{months['2024-04']['report_id']}"
    pdfs = [(await client.get(final, params={"format": "pdf"})).content for _ in range(2)]
    assert pdfs[0] == pdfs[1]
    monkeypatch.setattr(pdf_format, "MOST_CUSTOMERS", 1)
    cut = PdfReader(io.BytesIO((await client.get(final, params={"format": "pdf"})).content)).pages[0].extract_text()
    assert "The first 1 customers are listed." in cut
    assert ("anna@example.com" in cut) + ("=bob*1@example.com" in cut) == 1
    async with transaction(engine, readonly=True) as connection:
        partner_id = await connection.fetchval("SELECT id FROM partners")
        live = await live_report.read(connection, partner_id, 202404)
        customers = await report_customers.page(connection, partner_id, 202404, limit=2)
    unnamed = PdfReader(io.BytesIO(pdf_format.pdf_file(live, customers, people=False))).pages[0].extract_text()
    assert ("@example.com" in unnamed, "bob, jr" in unnamed or "anna" in unnamed) == (False, True)
    refused = await client.get(final, params={"format": "pdf", "version": 1})
    assert (refused.status_code, refused.json()["detail"]) == (400, "Only a live report comes as PDF.")
