"""A bill's page in print reads as its PDF does."""

import asyncio
import io
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple
from uuid import uuid4

import httpx
from playwright.sync_api import Route
from pypdf import PdfReader
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages.words import ENGLISH
from billing.bills.digest import digest_of
from billing.bills.lines import Adjustment, lines_of
from billing.bills.tax import blocks_of, totals_of
from billing.bills.values import TermsOfBill
from billing.roles import Role
from db.bills import records
from db.bills.drafts import draft_from_content
from db.bills.files.formats import BillFormat, file_from_bill
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.billing.bills.builders import ISSUE, S7, S20, content, credit, product
from tests.browser import browser, needs_browser

pytestmark = needs_browser

HOST, IBAN = "http://leadger", "DE02 1203 0000 0000 2020 51"
TERMS = TermsOfBill(monthly_limit=10000, overage_unit_cost=Decimal("0.0125"), tax=S20, po_number="PO-2024-118")
USAGE = {"api": 11250}
PRODUCTS = [product(100 + number, f"product-{number:02}") for number in range(30)]
ADJUSTMENTS = [Adjustment("Goodwill", -5000, "outage"), Adjustment("Set-up", 25000, "order 17", S7, own_tax=True)]
BILL = content(
    *lines_of(TERMS, [product(128450), *PRODUCTS], [credit(1500)], USAGE, ADJUSTMENTS),
    terms=TERMS,
    usage=USAGE,
    tax_notes={S7: "Reduced rate"},
)


class Printed(NamedTuple):
    """What a dark screen's page becomes on paper, and what of it is shown on a phone or left on paper by mistake."""

    pages: list[str]
    colours: list[str]
    only_on_screens: int
    only_on_paper: int


async def test_a_bill_prints_as_its_pdf_reads(browser_of: BrowserOf, office: Office, engine: AsyncEngine) -> None:
    bill_id = uuid4()
    async with transaction(engine) as connection:
        await records.insert_all(connection, [(partner_uuid("acme"), draft_from_content(BILL, bill_id))])
        bill = await records.read(connection, bill_id)
        assert bill is not None
        await records.write_issue(connection, bill, ISSUE)
    fay = await browser_of("fay", Role.FINANCE)
    shown = (await fay.get(f"/bills/{bill_id}")).response
    styles = {each: await fay.client.get(each) for each in re.findall(r'href="([^"]+[.]css)"', shown.text)}
    printed = await asyncio.to_thread(_print, shown.request.url.path, {shown.request.url.path: shown, **styles})
    pdf = _texts(file_from_bill(BILL, ISSUE, BillFormat.PDF))

    totals = totals_of(BILL)
    nets = [(line.text, ENGLISH.amount(line.net_minor)) for line in BILL.lines]
    taxes = [(ENGLISH.amount(block.base_minor), ENGLISH.amount(block.tax_minor)) for block in blocks_of(BILL)]
    sums = [ENGLISH.amount(each) for each in (totals.net_minor, totals.tax_minor, totals.gross_minor)]
    due = ENGLISH.amount(totals.total_minor - ISSUE.applied_minor)
    for text in (" ".join(printed.pages), " ".join(pdf)):
        at = 0
        for part in (each for line in nets for each in line):
            at = text.find(part, at)
            assert at >= 0, part
        for said in (ISSUE.number, "April 2024", "PO-2024-118", "DE123456789", "GB123456789", "Reduced rate", IBAN):
            assert said in text, said
        assert all(f"{base} {tax}" in text.replace("Reduced rate ", "") for base, tax in taxes)
        assert all(each in text for each in (*sums, due, digest_of(BILL)))
    pat = await browser_of("pat", Role.PARTNER, "acme")
    assert "Goodwill outage" in (await pat.get(shown.request.url.path)).text
    heads = [page.count("Net (EUR)") for page in printed.pages]
    assert (heads, len(heads) > 1) == ([1] * len(heads), True)
    assert [page.count(f"Gross {sums[2]}") for page in printed.pages[1:]] == [0] * (len(heads) - 2) + [1]
    assert printed[1:] == (["rgb(255, 255, 255)", "rgb(0, 0, 0)"], 0, 0)


def _print(path: str, answers: Mapping[str, httpx.Response]) -> Printed:
    """Print a page of which these are all parts."""

    def answer(route: Route) -> None:
        found = answers.get(route.request.url.removeprefix(HOST))
        if found is None:
            return route.abort()
        return route.fulfill(body=found.content, content_type=found.headers["content-type"])

    with browser() as chromium:
        page = chromium.new_page(color_scheme="dark", viewport={"width": 390, "height": 844})
        page.route("**/*", answer)
        page.goto(f"{HOST}{path}")
        only_on_paper = page.locator(".on-print:visible").count()
        page.emulate_media(media="print")
        colours = page.evaluate(
            "(({ backgroundColor, color }) => [backgroundColor, color])(getComputedStyle(document.body))"
        )
        on_screens = page.locator("button:visible, input:visible, nav:visible, summary:visible, iframe:visible").count()
        return Printed(_texts(page.pdf(format="A4")), colours, on_screens, only_on_paper)


def _texts(pdf: bytes) -> list[str]:
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(io.BytesIO(pdf)).pages]
